import type { ComponentChildren } from 'preact'

export interface Column<R> {
  readonly head: string
  readonly cell: (row: R) => ComponentChildren
  readonly numeric?: boolean
  /** A text that may be longer than there is room: it breaks anywhere. */
  readonly long?: boolean
}

interface TableProps<R> {
  readonly title: string
  readonly rows: readonly R[]
  readonly columns: readonly Column<R>[]
  readonly keyOf: (row: R, index: number) => string | number
  /** Said where there is no row. */
  readonly nothing: string
  readonly more?: number
}

/** A titled table that scrolls sideways by itself on a narrow screen. */
export function Table<R>({ title, rows, columns, keyOf, nothing, more = 0 }: TableProps<R>) {
  const id = `table-${title.replace(/\W+/g, '-').toLowerCase()}`
  return (
    <section class="panel" aria-labelledby={id}>
      <h3 id={id}>
        {title} {rows.length > 0 ? <span class="muted">{rows.length + more}</span> : null}
      </h3>
      {rows.length === 0 ? (
        <p class="muted">{nothing}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-labelledby={id}>
          <table>
            <thead>
              <tr>
                {columns.map(({ head, numeric }) => (
                  <th key={head} scope="col" class={numeric === true ? 'numeric' : ''}>
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, index) => (
                <tr key={keyOf(row, index)}>
                  {columns.map(({ head, cell, numeric, long }) => (
                    <td key={head} class={numeric === true ? 'numeric' : long === true ? 'long' : ''}>
                      {cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more > 0 ? <p class="muted">and {more} more</p> : null}
    </section>
  )
}
