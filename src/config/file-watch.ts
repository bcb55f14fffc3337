import { readFileSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** Editors and deployments write in several steps; the last one counts. */
const SETTLE_MILLIS = 100

/**
 * Calls back when the content of a file has changed. It watches the folder, not the file: editors replace a file by
 * another one, and Kubernetes replaces the folder that a link points to. Keeps no process alive.
 *
 * @returns a function that ends it
 */
export function watchFile(path: string, changed: () => void): () => void {
  let known = read(path)
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    timer = undefined
    const text = read(path)
    // A file that is gone for the moment is about to come back.
    if (text === undefined || text === known) return
    known = text
    changed()
  }
  const watcher = watch(dirname(path), { persistent: false }, () => {
    timer ??= setTimeout(look, SETTLE_MILLIS).unref()
  })
  // The folder is gone: there is nothing to watch any more.
  watcher.on('error', () => watcher.close())
  return () => {
    clearTimeout(timer)
    watcher.close()
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
