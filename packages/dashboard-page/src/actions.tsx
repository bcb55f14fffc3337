import { useRef, useState } from 'preact/hooks'
import type { ActionAnswer, ActionName, ActionRequest, PoolView } from '../../../src/dashboard/protocol.ts'

async function send(request: ActionRequest): Promise<ActionAnswer> {
  try {
    const response = await fetch('actions', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-millpond-action': request.action },
      body: JSON.stringify(request),
    })
    return (await response.json()) as ActionAnswer
  } catch {
    return { ok: false, message: 'The process did not answer.' }
  }
}

/** `min 2 and max 20`; what stays is not named. */
function sizesOf(min: number | undefined, max: number | undefined): string {
  const named = [min === undefined ? '' : `min ${min}`, max === undefined ? '' : `max ${max}`]
  return named.filter(Boolean).join(' and ')
}

/** What is about to be done, in words, for the confirmation. */
function sentence({ action, min, max, resourceId }: ActionRequest, pool: string): string {
  switch (action) {
    case 'resize':
      return `Change the size of “${pool}” to ${sizesOf(min, max)}?`
    case 'suspend':
      return `Suspend “${pool}”? Nobody gets a connection until it is resumed; callers wait until their deadline.`
    case 'resume':
      return `Resume “${pool}”?`
    case 'invalidate':
      return `Replace every connection of “${pool}”? Idle ones close now, used ones when they are released.`
    case 'kill':
      return `Take connection ${resourceId ?? '?'} of “${pool}” away from its borrower? The work on it fails.`
  }
}

interface Actions {
  readonly ask: (request: Omit<ActionRequest, 'key'>) => void
  readonly element: preact.JSX.Element
}

/** Every action is confirmed in a dialog first, and its answer said. */
export function useActions(pool: PoolView): Actions {
  const dialog = useRef<HTMLDialogElement>(null)
  const [request, setRequest] = useState<ActionRequest>()
  const [answer, setAnswer] = useState<ActionAnswer>()
  const ask: Actions['ask'] = (wanted) => {
    setAnswer(undefined)
    setRequest({ ...wanted, key: pool.key })
    dialog.current?.showModal()
  }
  const confirm = async (): Promise<void> => {
    dialog.current?.close()
    if (request !== undefined) setAnswer(await send(request))
  }
  const element = (
    <>
      <dialog ref={dialog} aria-labelledby="question">
        <p id="question">{request === undefined ? '' : sentence(request, pool.stats.name)}</p>
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="button" class="danger" onClick={() => void confirm()}>
            {request?.action ?? 'Do it'}
          </button>
        </div>
      </dialog>
      <p role="status" class={answer === undefined ? '' : answer.ok ? 'answer good' : 'answer bad'}>
        {answer?.message ?? ''}
      </p>
    </>
  )
  return { ask, element }
}

interface ActionBarProps {
  readonly pool: PoolView
  readonly allowed: readonly ActionName[]
  readonly ask: Actions['ask']
}

export function ActionBar({ pool, allowed, ask }: ActionBarProps) {
  const { state, min, max } = pool.stats
  const [sizes, setSizes] = useState({ min: String(min), max: max === Infinity ? '' : String(max) })
  const may = (action: ActionName): boolean => allowed.includes(action)
  return (
    <section class="panel actions" aria-label="Actions">
      <h3>Actions</h3>
      {may('resize') ? (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            // What is left empty stays as it is.
            const entered = Object.entries(sizes).filter(([, size]) => size !== '')
            ask({ action: 'resize', ...Object.fromEntries(entered.map(([name, size]) => [name, Number(size)])) })
          }}
        >
          {(['min', 'max'] as const).map((size) => (
            <label key={size}>
              {size}{' '}
              <input
                type="number"
                min={size === 'min' ? 0 : 1}
                required={size === 'min'}
                value={sizes[size]}
                onInput={({ currentTarget: { value } }) => setSizes({ ...sizes, [size]: value })}
              />
            </label>
          ))}
          <button type="submit">Resize</button>
        </form>
      ) : null}
      <div class="buttons">
        {may('suspend') && state !== 'suspended' ? (
          <button type="button" onClick={() => ask({ action: 'suspend' })}>
            Suspend
          </button>
        ) : null}
        {may('resume') && state === 'suspended' ? (
          <button type="button" onClick={() => ask({ action: 'resume' })}>
            Resume
          </button>
        ) : null}
        {may('invalidate') ? (
          <button type="button" onClick={() => ask({ action: 'invalidate' })}>
            Replace all connections
          </button>
        ) : null}
      </div>
    </section>
  )
}
