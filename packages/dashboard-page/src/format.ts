/** `0.4 ms`, `12 ms`, `3.4 s`, `5 min`; a dash where nothing is known. */
export function millis(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  if (value === 0) return '0 ms'
  if (value < 10) return `${value.toFixed(1)} ms`
  if (value < 1_000) return `${value.toFixed(0)} ms`
  if (value < 60_000) return `${(value / 1_000).toFixed(value < 10_000 ? 1 : 0)} s`
  if (value < 3_600_000) return `${(value / 60_000).toFixed(0)} min`
  return `${(value / 3_600_000).toFixed(1)} h`
}

export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  if (!Number.isFinite(value)) return '∞'
  if (value < 10_000) return Number.isInteger(value) ? String(value) : value.toFixed(1)
  if (value < 1_000_000) return `${(value / 1_000).toFixed(0)} k`
  return `${(value / 1_000_000).toFixed(1)} M`
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : '–'
}

/** `17:05:09`, wherever the viewer is. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB')
}

/** The words of camelCase: `oldestWaiterMillis` → `oldest waiter millis`. */
export function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
