/** What a driver's objects are listened to by. */
export interface EventSource {
  on(event: string | symbol, listener: never): unknown
  removeListener(event: string | symbol, listener: never): unknown
}

/** What was changed of somebody else's objects, and how it is put back. */
export class Wrappings {
  readonly #restores: (() => void)[] = []

  /** Replaces a method of the one object, until all is put back. Nothing else of it changes. */
  wrap<F extends (...args: never[]) => unknown>(target: object, method: PropertyKey, make: (original: F) => F): void {
    const own = target as Record<PropertyKey, unknown>
    const original = own[method]
    if (typeof original !== 'function') return
    const wasOwn = Object.hasOwn(own, method)
    const wrapped = make(original.bind(target) as F)
    own[method] = wrapped
    this.onRestore(() => {
      // Somebody has wrapped it after us: theirs stays, and calls ours, which only passes on by now.
      if (own[method] !== wrapped) return
      if (wasOwn) own[method] = original
      else Reflect.deleteProperty(own, method)
    })
  }

  /** Listens to an event, until all is put back. */
  listen(source: EventSource, event: string | symbol, listener: (...args: never[]) => void): void {
    source.on(event, listener as never)
    this.onRestore(() => void source.removeListener(event, listener as never))
  }

  onRestore(restore: () => void): void {
    this.#restores.push(restore)
  }

  restore(): void {
    for (const restore of this.#restores.splice(0).reverse()) restore()
  }
}
