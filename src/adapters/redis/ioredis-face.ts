import type { DriverClient } from './driver.ts'
import { emitLater, getter, makeFace, overwritable, Owner, sharedCommand, value } from './face.ts'
import { sessionError, toCallback, type FaceBasics, type Method } from './face-host.ts'
import { firstKeyOfWords } from './first-key.ts'
import type { IoredisClient, IoredisCommand, IoredisDialect } from './ioredis.ts'
import type { IoredisCluster } from './ioredis-cluster.ts'
import { commandName, isRoutedByArguments, routeOf } from './routes.ts'

/** A pipeline of ioredis, as far as it is steered. */
interface Pipeline {
  redis: DriverClient
  readonly _queue: readonly IoredisCommand[]
  readonly _transactions: number
  exec: (callback?: unknown) => unknown
}

/** Methods that only call others of the same client, page by page: they run on the face. */
const ON_FACE = /^(create)?\w*[sS]can(Buffer)?Stream$/

/** Methods that are no commands and ask nothing of a connection. */
const LOCAL = new Set(['getBuiltinCommands', 'createBuiltinCommand', 'addBuiltinCommand', 'silentEmit', 'setStatus'])

const RAW = new Set(['call', 'callBuffer', 'send_command'])

const MESSAGES = ['message', 'messageBuffer', 'pmessage', 'pmessageBuffer', 'smessage', 'smessageBuffer']

export interface IoredisFaceOptions extends FaceBasics {
  readonly dialect: Pick<IoredisDialect, 'closedPhrase' | 'homeDb' | 'defineCommand' | 'quit'>
  readonly template: IoredisClient | IoredisCluster
  /** In a cluster: the client that is shared, once there is one. */
  readonly cluster?: (() => IoredisCluster | undefined) | undefined
  /** Connections that are open now, for commands that are defined late. */
  connections(): Iterable<DriverClient>
}

/** Options that a duplicate may have of its own without other connections. */
const HARMLESS = new Set([
  'lazyConnect',
  'maxRetriesPerRequest',
  'enableOfflineQueue',
  'retryStrategy',
  'enableReadyCheck',
])

/** Methods of a cluster that tell about its nodes: they are asked of the client that is shared. */
const ABOUT_NODES = new Set(['nodes', 'refreshSlotsCache', 'delayUntilReady'])

/** What stands for a `Redis` or a `Cluster` of ioredis: its commands, each on the lane where it belongs. */
export function ioredisFace(options: IoredisFaceOptions): DriverClient {
  const { host, dialect, template, isDuplicate, events, cluster } = options
  const owner = new Owner()
  let subscriber: Promise<DriverClient> | undefined

  const closed = (): Error => new Error(dialect.closedPhrase)

  /** Runs on the lane of this command. */
  function run(
    name: string,
    args: unknown[],
    call: (client: IoredisClient, args: unknown[]) => unknown,
    routedBy: readonly unknown[] = args,
  ): unknown {
    const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined
    const canonical = commandName(name)
    if (owner.ended) return toCallback(Promise.reject(closed()), callback)
    const send = (client: DriverClient): unknown => call(client as IoredisClient, args)
    switch (routeOf(canonical, routedBy)) {
      case 'shared':
        return toCallback(host.queued(send, { label: canonical }), callback)
      case 'exclusive':
        return toCallback(
          host.exclusive(owner, send, { label: canonical, again: true, key: keyOf(canonical, routedBy) }),
          callback,
        )
      case 'subscriber':
        return toCallback(listen().then(send), callback)
      case 'session': {
        const [db] = routedBy
        if (canonical === 'select' && Number(db) === dialect.homeDb) return toCallback(Promise.resolve('OK'), callback)
        return toCallback(Promise.reject(sessionError(host.name, canonical)), callback)
      }
    }
  }

  /** The key that tells the node. */
  function keyOf(name: string, words: readonly unknown[]): unknown {
    return cluster === undefined ? undefined : firstKeyOfWords(name, words)
  }

  /** The connection that this face listens on. */
  function listen(): Promise<DriverClient> {
    subscriber ??= host.subscriber().then((client) => {
      for (const event of MESSAGES) client.on(event, (...args: unknown[]) => events.emit(event, ...args))
      return client
    })
    subscriber.catch(() => {
      subscriber = undefined
    })
    return subscriber
  }

  function command(name: string): Method {
    const canonical = commandName(name)
    const call = (client: DriverClient, args: unknown[]): unknown =>
      (client as unknown as Record<string, Method>)[name]?.apply(client, args)
    const route = (args: unknown[]): unknown => run(name, args, call)
    if (isRoutedByArguments(canonical) || routeOf(canonical) !== 'shared') return (...args) => route(args)
    return sharedCommand(host, owner, canonical, call, route)
  }

  /** `call('GET', 'k')`: the command stands in the first argument. */
  function raw(name: string): Method {
    const call = (client: IoredisClient, args: unknown[]): unknown =>
      (client as unknown as Record<string, Method>)[name]?.apply(client, args)
    return (...args) => {
      const [command, ...rest] = args.flat()
      return run(String(command), args, call, rest)
    }
  }

  function pipeline(make: () => unknown, isMulti: boolean): unknown {
    const made = make() as Pipeline
    const { exec } = made
    made.exec = function (this: Pipeline, ...args: unknown[]): unknown {
      // Inside a pipeline, EXEC of its own MULTI is one more command.
      if (this._transactions > 0 && !isMulti) return exec.apply(this, args as [])
      const [callback] = args
      if (owner.ended) return toCallback(Promise.reject(closed()), callback)
      const needsOwn = needsOwnConnection(this._queue, isMulti)
      if (needsOwn && cluster !== undefined)
        return toCallback(
          Promise.reject(sessionError(host.name, 'a pipeline that blocks or changes its connection')),
          callback,
        )
      const client = needsOwn ? undefined : host.pick()
      if (client !== undefined) {
        this.redis = client
        return host.measured(isMulti ? 'multi' : 'pipeline', () => exec.call(this, callback))
      }
      const send = (other: DriverClient): unknown => {
        this.redis = other
        return exec.call(this)
      }
      return toCallback(
        needsOwn
          ? host.exclusive(owner, send, { label: 'pipeline', again: false })
          : host.queued(send, { label: isMulti ? 'multi' : 'pipeline' }),
        callback,
      )
    }
    return made
  }

  async function end(graceful: boolean): Promise<'OK'> {
    if (!owner.ended) {
      const listening = subscriber
      owner.end(closed())
      if (isDuplicate) {
        await listening?.then((client) => dialect.quit(client)).catch(() => undefined)
        emitLater(events, 'close')
        emitLater(events, 'end')
        options.forget()
      }
    }
    if (!isDuplicate) await host.close(graceful)
    return 'OK'
  }

  const face = makeFace(host, template, events, {
    own: {
      // BullMQ sets it.
      status: overwritable(() => (owner.ended ? 'end' : host.status())),
      mode: getter(() => 'normal'),
      connect: value((callback?: unknown) => toCallback(host.ready(), callback)),
      quit: value((callback?: unknown) => toCallback(end(true), callback)),
      disconnect: value(() => void end(false)),
      end: value(() => void end(false)),
      duplicate: value((...args: unknown[]) => {
        const override = overrideOf(args, cluster !== undefined)
        return Object.keys(override).every((option) => HARMLESS.has(option))
          ? options.duplicate()
          : options.spawn(override)
      }),
      ...(cluster === undefined ? {} : { slots: getter(() => cluster()?.slots ?? []) }),
      pipeline: value((commands?: unknown) =>
        pipeline(() => (template as unknown as Record<string, Method>)['pipeline']?.call(template, commands), false),
      ),
      multi: value((...args: unknown[]) => {
        const last = args.at(-1)
        if (typeof last === 'object' && last !== null && 'pipeline' in last && last.pipeline === false)
          return Promise.reject(sessionError(host.name, 'multi'))
        return pipeline(() => (template as unknown as Record<string, Method>)['multi']?.apply(template, args), true)
      }),
      sendCommand: value((sent: IoredisCommand) => {
        void (
          run(sent.name, [...sent.args], (client) => {
            client.sendCommand(sent)
            return sent.promise
          }) as Promise<unknown>
        ).catch((error: unknown) => sent.reject(error))
        return sent.promise
      }),
      defineCommand: value((name: string, definition: object) => {
        dialect.defineCommand(name, definition)
        for (const client of options.connections()) (client as IoredisClient).defineCommand(name, definition)
        for (const spelling of [name, `${name}Buffer`])
          Object.defineProperty(face, spelling, { value: command(spelling), configurable: true, writable: true })
      }),
    },
    make(_face, name, found) {
      if (typeof found !== 'function') return found
      const method = found as Method
      if (ON_FACE.test(name)) return (...args: unknown[]) => method.apply(face, args)
      if (cluster !== undefined && ABOUT_NODES.has(name))
        return (...args: unknown[]) => {
          const from = cluster() ?? template
          return (from as unknown as Record<string, Method>)[name]?.apply(from, args)
        }
      if (LOCAL.has(name) || name.startsWith('_')) return method.bind(template)
      return RAW.has(name) ? raw(name) : command(name)
    },
  })
  return face
}

/** What a duplicate has otherwise: `Redis` takes options, `Cluster` its nodes before them. */
function overrideOf([first, second]: unknown[], isCluster: boolean): object {
  if (!isCluster) return (first as object | undefined) ?? {}
  const hasNodes = Array.isArray(first) && first.length > 0
  return { ...(second as object | undefined), ...(hasNodes ? { nodes: first as unknown[] } : {}) }
}

/** Whether a pipeline changes the connection that it goes over, or holds it up. `multi()` adds its EXEC at the end. */
function needsOwnConnection(queue: readonly IoredisCommand[], isMulti: boolean): boolean {
  let inTransaction = false
  for (const { name, args } of queue) {
    const canonical = commandName(name)
    if (canonical === 'multi') inTransaction = true
    else if (inTransaction && (canonical === 'exec' || canonical === 'discard')) inTransaction = false
    else {
      const route = routeOf(canonical, args)
      // In a transaction nothing blocks.
      if (route === 'session' || route === 'subscriber' || (route === 'exclusive' && !inTransaction)) return true
    }
  }
  return inTransaction && !isMulti
}
