import { useEffect, useState } from 'preact/hooks'

export const hashOf = (key: string): string => `#pool=${encodeURIComponent(key)}`

function poolOf(hash: string): string | undefined {
  return hash.startsWith('#pool=') ? decodeURIComponent(hash.slice(6)) : undefined
}

/** The key of the pool that the address names; undefined: the overview. */
export function useRoute(): string | undefined {
  const [key, setKey] = useState(() => poolOf(location.hash))
  useEffect(() => {
    const changed = (): void => {
      setKey(poolOf(location.hash))
      // A new view begins at its top, also for a reader who does not see.
      window.scrollTo(0, 0)
      document.querySelector<HTMLElement>('main')?.focus()
    }
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  return key
}
