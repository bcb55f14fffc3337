import { useRef, useState } from 'preact/hooks'
import { count } from './format.ts'
import type { ActionAnswer, ActionName, ActionRequest, PoolView, Sizes } from '../../../src/dashboard/protocol.ts'

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
function sentence({ action, min, max, resourceId, part }: ActionRequest, pool: string): string {
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
      return `Take connection ${resourceId ?? '?'} of “${part ?? pool}” away from its borrower? The work on it fails.`
  }
}

/** What the button that does it says. */
const DO: Readonly<Record<ActionName, string>> = {
  resize: 'Resize',
  suspend: 'Suspend',
  resume: 'Resume',
  invalidate: 'Replace all',
  kill: 'Take away',
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
            {request === undefined ? '' : DO[request.action]}
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
  /** What they are now, for `resize`. */
  readonly now: Sizes
  readonly ask: Actions['ask']
}

export function ActionBar({ pool, allowed, now, ask }: ActionBarProps) {
  const { state, min, max } = pool.stats
  const [sizes, setSizes] = useState({ min: String(now.min), max: String(now.max ?? '') })
  const isSum = now.min !== min || (now.max ?? Infinity) !== max
  const may = (action: ActionName): boolean => allowed.includes(action)
  const turn = state === 'suspended' ? 'resume' : 'suspend'
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
          {isSum ? (
            <span class="muted">
              of each part; all together: min {min}, max {count(max)}
            </span>
          ) : null}
        </form>
      ) : null}
      <div class="buttons">
        {may(turn) ? (
          // One button for both: after the dialog it has the focus again.
          <button type="button" onClick={() => ask({ action: turn })}>
            {DO[turn]}
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
