import type { Io } from './io.ts'

/** One line on the error stream that says what is being done, replaced each time; nothing where nobody looks. */
export function progressTo(io: Io): { say(text: string): void; end(): void } {
  if (!io.progress) return { say: () => undefined, end: () => undefined }
  let shown = false
  return {
    say(text) {
      shown = true
      io.err(`\r\u001b[2K  ${text} …`)
    },
    end() {
      if (shown) io.err('\r\u001b[2K')
    },
  }
}
