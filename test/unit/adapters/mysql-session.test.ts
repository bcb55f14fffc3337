import { describe, expect, it } from 'vitest'
import type { DriverCommand, DriverPacket } from '../../../src/adapters/mysql/driver.ts'
import { Session } from '../../../src/adapters/mysql/session.ts'

/** An ERR packet behind its header of four bytes, as the driver hands it on. */
function errorPacket(errno: number): DriverPacket {
  return { buffer: Buffer.from([0, 0, 0, 1, 0xff, errno & 0xff, errno >> 8]), offset: 4 } as DriverPacket
}

describe('a session of MySQL', () => {
  const asked = { sql: 'SELECT 1' } as unknown as DriverCommand

  // The socket closes only afterwards: whoever is given the connection in between would ask one that is over.
  it.each([
    [1927, 'a connection that was killed'],
    [1053, 'a shutdown'],
    [4031, 'one that was idle for too long'],
  ])('is over with error %i, %s', (errno) => {
    const session = new Session()
    session.note(errorPacket(errno), asked)
    expect(session.ended).toBe(true)
  })

  it.each([
    [1064, 'a syntax error'],
    [1213, 'a deadlock'],
    [1290, 'a server that takes no writes'],
  ])('outlives error %i, %s', (errno) => {
    const session = new Session()
    session.note(errorPacket(errno), asked)
    expect(session.ended).toBe(false)
  })
})
