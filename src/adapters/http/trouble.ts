/** What is known of a request that did not go well at once; most do. */
export class Trouble {
  attempts = 0
  /** How often it was sent again because a used connection had been closed. */
  sentAgain = 0
  /** How often a connection was gone before anything of the request was written. */
  missed = 0
  /** The answer is not for the caller: the request will be repeated after so many milliseconds. */
  repeatAfter: number | undefined = undefined
  swallowed = 0
  /** Ends the pause before it is tried again. */
  endPause: (() => void) | undefined = undefined
}
