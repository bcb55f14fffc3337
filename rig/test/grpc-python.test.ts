import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { findPython, startGrpc, tryStart, waitFor } from '@millpond/rig'

const python = await tryStart('Python with grpcio (Debian: python3-grpcio)', () =>
  Promise.resolve().then(() => findPython('grpc')),
)

describe.skipIf(python === undefined)('a client in Python', () => {
  it('sees the rig’s gRPC server as others do: answers, failures, health, stream limit, goodbye', async () => {
    await using server = await startGrpc({ maxConcurrentStreams: 3 })
    const client = spawn(python ?? '', [fileURLToPath(new URL('./grpc_client.py', import.meta.url)), server.target], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const said: Record<string, unknown> = {}
    const lines = createInterface(client.stdout).on(
      'line',
      (line) => Object.assign(said, JSON.parse(line) as object) as unknown,
    )
    const ended = once(client, 'exit')
    await waitFor(() => 'burst' in said, { what: 'a burst of calls' })
    expect(said).toEqual({ echo: 'from Python', failed: 'NOT_FOUND', health: 1, burst: 7 })
    expect(await server.view()).toMatchObject({ mostActive: 3, mostActivePerConnection: 3 })
    await waitFor(async () => (await server.view()).active === 1, { what: 'a slow call runs' })
    await server.drain()
    client.stdin.end('\n')
    expect(await ended).toEqual([0, null])
    lines.close()
    expect(said).toMatchObject({ next: 'next', slow: 'slow' })
    // The goodbye made it connect anew.
    expect((await server.view()).peers).toHaveLength(2)
  })
})
