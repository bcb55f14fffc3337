import type { DriverClient } from './driver.ts'
import { emitLater, getter, makeFace, Owner, sharedCommand, value } from './face.ts'
import { sessionError, type FaceBasics, type Method } from './face-host.ts'
import { firstKeyOfMethod } from './first-key.ts'
import type { NodeRedisCluster, NodeRedisClusterDialect } from './node-redis-cluster.ts'
import { NodeRedisDialect, type NodeRedisClient, type NodeRedisCommand } from './node-redis.ts'
import { commandName, isRoutedByArguments, routeOf, type Route } from './routes.ts'

/** They give a view of the client with options of its own. */
const VIEWS = new Set(['withCommandOptions', 'withTypeMapping', 'withAbortSignal', 'asap'])

/** Async generators that only call others of the same client, page by page: they run on the face. */
const ON_FACE = /^\w*[sS]can\w*Iterator$/

/** Methods that are no commands and ask nothing of a connection. */
const LOCAL = new Set(['createPool', 'ref', 'unref', 'getPubSubListeners', 'setDirtyWatch', 'isDirtyWatch'])

const UNSUPPORTED = new Set(['legacy'])

export interface NodeRedisFaceOptions extends FaceBasics {
  readonly dialect: NodeRedisDialect | NodeRedisClusterDialect
  /** In a cluster: the client that is shared, once there is one. */
  readonly cluster?: (() => NodeRedisCluster | undefined) | undefined
}

/** Methods of a cluster that tell about its nodes: they are asked of the client that is shared. */
const ABOUT_NODES = new Set([
  'nodeClient', 'getRandomNode', 'getSlotRandomNode', 'getNodeClientForKey', 'getMasters', 'getSlotMaster',
]) // prettier-ignore

/** What one view of the face adds to a connection: type mappings, an abort signal. */
interface View {
  readonly template: DriverClient
  of(client: DriverClient): DriverClient
}

/** What stands for a client, or a cluster client, of node-redis: its commands, each on the lane where it belongs. */
export function nodeRedisFace(options: NodeRedisFaceOptions): DriverClient {
  const { host, dialect, isDuplicate, events, cluster } = options
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
        options.forget()
      }
    }
    if (!isDuplicate) await host.close(graceful)
  }

  type Call = (client: DriverClient, lane: Route) => unknown

  /** Runs on the lane of this command. */
  async function run(name: string, args: readonly unknown[], view: View, call: Call, key?: unknown): Promise<unknown> {
    if (owner.ended) throw closed()
    const canonical = commandName(name)
    const { abortSignal: signal } = {
      ...(view.template as { readonly _commandOptions?: { readonly abortSignal?: AbortSignal } })._commandOptions,
    }
    const lane = routeOf(canonical, args)
    const send = (client: DriverClient): unknown => call(view.of(client), lane)
    switch (lane) {
      case 'shared':
        return await host.queued((client) => noted(client, send(client)), { label: canonical, signal })
      case 'exclusive':
        return await host.exclusive(owner, send, { label: canonical, again: false, signal, key })
      case 'subscriber':
        return await send(await listen())
      case 'session':
        if (canonical === 'select' && Number(args[0]) === dialect.homeDb) return undefined
        throw sessionError(host.name, canonical)
    }
  }

  /** Whether an answer is being looked at. */
  let isLooking = false

  /**
   * A refused write is told to nobody but its caller. One command at a time is looked at: where a server refuses one, it
   * refuses the next as well, and to look at each of them would cost as much as a tenth of it.
   */
  function noted(client: DriverClient, answer: unknown): unknown {
    if (isLooking || !(answer instanceof Promise)) return answer
    isLooking = true
    answer.then(
      () => {
        isLooking = false
      },
      (error: unknown) => {
        isLooking = false
        host.noteError(client, error)
      },
    )
    return answer
  }

  function caller(name: string, view: View, callOn: (client: DriverClient, args: unknown[]) => unknown): Method {
    const canonical = commandName(name)
    if (isRoutedByArguments(canonical) || routeOf(canonical) !== 'shared')
      return (...args) => {
        const key = cluster === undefined ? undefined : firstKeyOfMethod(canonical, args)
        return run(name, args, view, (client) => callOn(client, args), key)
      }
    const send = (client: DriverClient, args: unknown[]): unknown => noted(client, callOn(view.of(client), args))
    const queue = (args: unknown[]): unknown => run(name, args, view, (client) => callOn(client, args))
    return sharedCommand(host, owner, canonical, send, queue)
  }

  /** A batch goes over the shared connection, unless it changes it or holds it up. */
  async function batch(
    commands: readonly NodeRedisCommand[],
    isMulti: boolean,
    view: View,
    send: Call,
    key?: unknown,
  ): Promise<unknown> {
    if (needsOwnConnection(commands, isMulti) && !owner.ended)
      return await host.exclusive(owner, (client) => send(view.of(client), 'exclusive'), {
        label: 'multi',
        again: false,
        key,
      })
    const client = owner.ended ? undefined : host.pick()
    if (client === undefined) return await run('pipeline', [], view, send)
    return await host.measured('multi', () => noted(client, send(view.of(client), 'shared')))
  }

  function multi(view: View, routing: unknown): object {
    if (dialect instanceof NodeRedisDialect)
      return dialect.multi(view.template as NodeRedisClient, (how, [commands, ...rest]) =>
        batch(commands, how === '_executeMulti', view, (client) => (client as NodeRedisClient)[how](commands, ...rest)),
      )
    return dialect.multi(view.template as NodeRedisCluster, routing, (how, firstKey, isReadonly, commands) => {
      const send: Call = (client, lane) =>
        lane === 'exclusive'
          ? (client as NodeRedisClient)[how === 'multi' ? '_executeMulti' : '_executePipeline'](commands)
          : dialect.sendBatch(client as NodeRedisCluster, how)(firstKey, isReadonly, commands)
      return batch(commands, how === 'multi', view, send, firstKey)
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
    if (cluster === undefined)
      return (args, sent) =>
        run(String((args as unknown[])[0]), (args as unknown[]).slice(1), view, (client) =>
          (client as NodeRedisClient).sendCommand(args as unknown[], sent),
        )
    return (firstKey, isReadonly, args, sent) => {
      const words = args as unknown[]
      const send: Call = (client, lane) =>
        lane === 'exclusive'
          ? (client as NodeRedisClient).sendCommand(words, sent)
          : (client as NodeRedisCluster).sendCommand(firstKey, isReadonly as boolean, words, sent)
      return run(String(words[0]), words.slice(1), view, send, firstKey)
    }
  }

  /** What a cluster tells of itself. */
  function aboutNodes(): Record<string, PropertyDescriptor> {
    if (cluster === undefined) return {}
    const names = ['masters', 'replicas', 'slots', 'nodeByAddress', 'pubSubNode'] as const
    const source = (): NodeRedisCluster => cluster() ?? (dialect.template as NodeRedisCluster)
    return Object.fromEntries(
      names.map((name) => [name, getter(() => (source() as unknown as Record<string, unknown>)[name])]),
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
        multi: value((routing: unknown) => multi(view, routing)),
        MULTI: value((routing: unknown) => multi(view, routing)),
        sendCommand: value(rawCommand(view)),
        ...aboutNodes(),
      },
      make(_face, name, found) {
        if (VIEWS.has(name)) return (...args: unknown[]) => faceOf(viewOf(view, name, args))
        if (typeof found === 'object' && found !== null && '_self' in found && !name.startsWith('_'))
          return namespace(name, view)
        if (typeof found !== 'function') return found
        const method = found as Method
        if (UNSUPPORTED.has(name)) throw new Error(`pool "${host.name}": \`${name}()\` needs a client of its own`)
        if (cluster !== undefined && ABOUT_NODES.has(name))
          return (...args: unknown[]) => {
            const from = cluster() ?? dialect.template
            return (from as unknown as Record<string, Method>)[name]?.apply(from, args)
          }
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
  const derive = (client: DriverClient): DriverClient =>
    (client as unknown as Record<string, Method>)[method]?.apply(client, args) as DriverClient
  const made = new WeakMap<DriverClient, DriverClient>()
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
