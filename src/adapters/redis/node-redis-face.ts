import type { EventEmitter } from 'node:events'
import type { DriverClient } from './driver.ts'
import { emitLater, getter, makeFace, Owner, value } from './face.ts'
import { sessionError, type FaceHost, type Method } from './face-host.ts'
import type { NodeRedisClient, NodeRedisCommand, NodeRedisDialect } from './node-redis.ts'
import { commandName, isRoutedByArguments, routeOf } from './routes.ts'

/** They give a view of the client with options of its own. */
const VIEWS = new Set(['withCommandOptions', 'withTypeMapping', 'withAbortSignal', 'asap'])

/** Async generators that only call others of the same client, page by page: they run on the face. */
const ON_FACE = /^\w*[sS]can\w*Iterator$/

/** Methods that are no commands and ask nothing of a connection. */
const LOCAL = new Set(['createPool', 'ref', 'unref', 'getPubSubListeners', 'setDirtyWatch', 'isDirtyWatch'])

const UNSUPPORTED = new Set(['legacy'])

export interface NodeRedisFaceOptions {
  readonly host: FaceHost
  readonly dialect: NodeRedisDialect
  readonly isDuplicate: boolean
  spawn(options: object): DriverClient
  duplicate(): DriverClient
  readonly events: EventEmitter
}

/** What one view of the face adds to a connection: type mappings, an abort signal. */
interface View {
  readonly template: NodeRedisClient
  of(client: NodeRedisClient): NodeRedisClient
}

/** What stands for a client of node-redis: its commands, each on the lane where it belongs. */
export function nodeRedisFace(options: NodeRedisFaceOptions): DriverClient {
  const { host, dialect, isDuplicate, events } = options
  const owner = new Owner()
  let subscriber: Promise<DriverClient> | undefined

  const closed = (): Error => new Error(dialect.closedPhrase)

  function listen(): Promise<DriverClient> {
    subscriber ??= host.subscriber()
    subscriber.catch(() => {
      subscriber = undefined
    })
    return subscriber
  }

  async function end(graceful: boolean): Promise<void> {
    if (!owner.ended) {
      const listening = subscriber
      owner.end(closed())
      if (isDuplicate) {
        await listening?.then((client) => dialect.quit(client)).catch(() => undefined)
        emitLater(events, 'end')
      }
    }
    if (!isDuplicate) await host.close(graceful)
  }

  type Call = (client: NodeRedisClient) => unknown

  /** Runs on the lane of this command. */
  async function run(name: string, args: readonly unknown[], view: View, call: Call): Promise<unknown> {
    if (owner.ended) throw closed()
    const canonical = commandName(name)
    const { abortSignal: signal } = {
      ...(view.template as { readonly _commandOptions?: { readonly abortSignal?: AbortSignal } })._commandOptions,
    }
    const send = (client: DriverClient): unknown => call(view.of(client as NodeRedisClient))
    switch (routeOf(canonical, args)) {
      case 'shared':
        return await host.queued((client) => noted(client, send(client)), { signal })
      case 'exclusive':
        return await host.exclusive(owner, send, { label: canonical, again: false, signal })
      case 'subscriber':
        return await send(await listen())
      case 'session':
        if (canonical === 'select' && Number(args[0]) === dialect.homeDb) return undefined
        throw sessionError(host.name, canonical)
    }
  }

  /** A refused write is told to nobody but its caller. */
  function noted(client: DriverClient, answer: unknown): unknown {
    if (answer instanceof Promise) answer.then(undefined, (error: unknown) => host.noteError(client, error))
    return answer
  }

  function caller(name: string, view: View, callOn: (client: NodeRedisClient, args: unknown[]) => unknown): Method {
    const canonical = commandName(name)
    if (isRoutedByArguments(canonical) || routeOf(canonical) !== 'shared')
      return (...args) => run(name, args, view, (client) => callOn(client, args))
    return (...args) => {
      const client = owner.ended ? undefined : host.pick()
      if (client === undefined) return run(name, args, view, (other) => callOn(other, args))
      return noted(client, callOn(view.of(client as NodeRedisClient), args))
    }
  }

  function multi(view: View): object {
    return dialect.multi(view.template, async (how, [commands, ...rest]) => {
      const send: Call = (client) => client[how](commands, ...rest)
      const own = needsOwnConnection(commands, how === '_executeMulti')
      const client = own || owner.ended ? undefined : host.pick()
      if (client !== undefined) return await noted(client, send(view.of(client as NodeRedisClient)))
      if (!own) return await run('multi', [], view, send)
      return await host.exclusive(owner, (other) => send(view.of(other as NodeRedisClient)), {
        label: 'multi',
        again: false,
      })
    })
  }

  /** The commands of a module: `client.json`, `client.ft`. */
  function namespace(name: string, view: View): object {
    return new Proxy(
      {},
      {
        get(target, member): unknown {
          if (typeof member === 'symbol') return undefined
          const known: unknown = Reflect.get(target, member)
          if (known !== undefined) return known
          const made = caller(member, view, (client, args) => {
            const space = (client as unknown as Record<string, Record<string, Method> | undefined>)[name]
            return space?.[member]?.(...args)
          })
          Reflect.set(target, member, made)
          return made
        },
      },
    )
  }

  function rawCommand(view: View): Method {
    return (args, sent) =>
      run(String((args as unknown[])[0]), (args as unknown[]).slice(1), view, (client) =>
        client.sendCommand(args as unknown[], sent),
      )
  }

  function faceOf(view: View): DriverClient {
    const face: DriverClient = makeFace(host, view.template, events, {
      own: {
        isOpen: getter(() => !owner.ended && !['wait', 'end'].includes(host.status())),
        isReady: getter(() => !owner.ended && host.status() === 'ready'),
        connect: value(async () => {
          await host.ready()
          return face
        }),
        close: value(() => end(true)),
        quit: value(() => end(true).then(() => 'OK')),
        QUIT: value(() => end(true).then(() => 'OK')),
        disconnect: value(() => end(false)),
        destroy: value(() => void end(false)),
        duplicate: value((override: object = {}) =>
          Object.keys(override).length === 0 ? options.duplicate() : options.spawn(override),
        ),
        multi: value(() => multi(view)),
        MULTI: value(() => multi(view)),
        sendCommand: value(rawCommand(view)),
      },
      make(_face, name, found) {
        if (VIEWS.has(name)) return (...args: unknown[]) => faceOf(viewOf(view, name, args))
        if (typeof found === 'object' && found !== null && '_self' in found && !name.startsWith('_'))
          return namespace(name, view)
        if (typeof found !== 'function') return found
        const method = found as Method
        if (UNSUPPORTED.has(name)) throw new Error(`pool "${host.name}": \`${name}()\` needs a client of its own`)
        if (ON_FACE.test(name)) return (...args: unknown[]) => method.apply(face, args)
        if (LOCAL.has(name) || name.startsWith('_')) return method.bind(view.template)
        return caller(name, view, (client, args) =>
          (client as unknown as Record<string, Method>)[name]?.apply(client, args),
        )
      },
    })
    return face
  }

  return faceOf({ template: dialect.template, of: (client) => client })
}

/** The same options on every connection, made once for each. */
function viewOf(from: View, method: string, args: unknown[]): View {
  const derive = (client: NodeRedisClient): NodeRedisClient =>
    (client as unknown as Record<string, Method>)[method]?.apply(client, args) as NodeRedisClient
  const made = new WeakMap<NodeRedisClient, NodeRedisClient>()
  return {
    template: derive(from.template),
    of(client) {
      let derived = made.get(client)
      if (derived === undefined) made.set(client, (derived = derive(from.of(client))))
      return derived
    },
  }
}

/** Whether a batch changes the connection that it goes over, or holds it up; in a transaction nothing blocks. */
function needsOwnConnection(commands: readonly NodeRedisCommand[], isMulti: boolean): boolean {
  return commands.some(({ args }) => {
    const route = routeOf(commandName(String(args[0])), args.slice(1))
    return route === 'session' || route === 'subscriber' || (route === 'exclusive' && !isMulti)
  })
}
