import { judge, type Level } from './judge.ts'
import type { PoolView } from '../../../src/dashboard/protocol.ts'

const SIGNS: Readonly<Record<Level, string>> = { good: '●', warn: '▲', bad: '■' }

/** Shape, colour and word: none alone carries the meaning. */
export function Status({ pool }: { readonly pool: PoolView }) {
  const { level, why } = judge(pool)
  return (
    <span class={`status ${level}`}>
      <span aria-hidden="true">{SIGNS[level]}</span> {why}
    </span>
  )
}
