import type { CreateContext, DestroyReason, FailureClass, ResourceFactory, StepContext } from '../core/factory.ts'

/** A resource that is only pretended. */
export interface FakeResource {
  readonly id: number
  /** Set to have the next release find it broken. */
  broken: boolean
  destroyed: DestroyReason | undefined
  /** Makes it die while nobody looks. */
  die(error?: unknown): void
}

/** An error that says which class it is of. */
export class FakeError extends Error {
  readonly failure: FailureClass

  constructor(failure: FailureClass, message: string = failure) {
    super(message)
    this.failure = failure
  }

  static {
    this.prototype.name = 'FakeError'
  }
}

type Step<R, C> = (context: C) => R | Promise<R>

/**
 * A factory whose every step a test decides: at once by default, or by a function, or at a gate that the test opens.
 *
 * ```ts
 * const factory = new FakeFactory()
 * factory.holdCreates()                       // creates wait
 * const waiting = pool.acquire()
 * factory.creates[0].open()                   // the first one succeeds
 * ```
 */
export class FakeFactory implements ResourceFactory<FakeResource> {
  readonly kind = 'fake'
  /** Everything that was ever created. */
  readonly resources: FakeResource[] = []
  /** Creates that wait at their gate, in order. */
  readonly creates: { readonly context: CreateContext; open(): FakeResource; fail(error: unknown): void }[] = []
  createCalls = 0
  validateCalls = 0
  resetCalls = 0
  destroyCalls = 0
  /** What a create does once it is called; throwing fails it. */
  onCreate: Step<void, CreateContext> = () => undefined
  onDestroy: (resource: FakeResource, reason: DestroyReason) => void | Promise<void> = () => undefined
  onValidate: (resource: FakeResource, context: StepContext) => void | Promise<void> = () => undefined
  onReset: (resource: FakeResource, context: StepContext) => void | Promise<void> = () => undefined
  #holding = false

  // Present only where a test asks for them, as their presence changes what a pool does.
  validate?: (resource: FakeResource, context: StepContext) => Promise<void>
  reset?: (resource: FakeResource, context: StepContext) => Promise<void>

  constructor({ validates = false, resets = false }: { validates?: boolean; resets?: boolean } = {}) {
    if (validates) {
      this.validate = async (resource, context) => {
        this.validateCalls++
        await this.onValidate(resource, context)
      }
    }
    if (resets) {
      this.reset = async (resource, context) => {
        this.resetCalls++
        await this.onReset(resource, context)
      }
    }
  }

  /** From now on every create waits in {@link creates} until the test ends it. */
  holdCreates(): void {
    this.#holding = true
  }

  /** Resources that are open by now. */
  get open(): number {
    return this.resources.filter(({ destroyed }) => destroyed === undefined).length
  }

  async create(context: CreateContext): Promise<FakeResource> {
    this.createCalls++
    if (this.#holding) {
      return await new Promise<FakeResource>((resolve, reject) => {
        this.creates.push({
          context,
          open: () => {
            const resource = this.#make(context)
            resolve(resource)
            return resource
          },
          fail: reject,
        })
      })
    }
    await this.onCreate(context)
    return this.#make(context)
  }

  async destroy(resource: FakeResource, reason: DestroyReason): Promise<void> {
    this.destroyCalls++
    if (resource.destroyed !== undefined) throw new Error(`resource ${resource.id} was destroyed twice`)
    resource.destroyed = reason
    await this.onDestroy(resource, reason)
  }

  isBroken(resource: FakeResource, error?: unknown): boolean {
    return resource.broken || (error instanceof FakeError && error.failure !== 'query')
  }

  classify(error: unknown): FailureClass {
    return error instanceof FakeError ? error.failure : 'query'
  }

  #make(context: CreateContext): FakeResource {
    const resource: FakeResource = {
      id: this.resources.length + 1,
      broken: false,
      destroyed: undefined,
      die: (error) => {
        context.lost(error)
      },
    }
    this.resources.push(resource)
    return resource
  }
}
