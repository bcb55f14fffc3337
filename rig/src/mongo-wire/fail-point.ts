import type { Document } from 'bson'
import { codeNameOf, CommandError } from './errors.ts'

/** What becomes of a command that the fail point is for. */
export interface Failure {
  readonly blockMillis: number
  readonly closesConnection: boolean
  readonly error: CommandError | undefined
  readonly writeConcernError: Document | undefined
}

/** The `failCommand` fail point: has named commands fail, wait, or lose their connection, so many times. */
export class FailPoint {
  #left = 0
  #skip = 0
  #data: Document = {}

  configure(mode: unknown, data: Document = {}): void {
    const { times, skip } = (typeof mode === 'object' && mode !== null ? mode : {}) as {
      readonly times?: number
      readonly skip?: number
    }
    this.#left = mode === 'off' ? 0 : (times ?? Infinity)
    this.#skip = skip ?? 0
    this.#data = data
  }

  /** What is to happen to this command; asked once for each. */
  take(name: string, appName: string | undefined): Failure | undefined {
    const { failCommands = [], appName: forApp } = this.#data as {
      readonly failCommands?: readonly string[]
      readonly appName?: string
    }
    if (this.#left <= 0 || !failCommands.includes(name)) return undefined
    if (forApp !== undefined && forApp !== appName) return undefined
    if (this.#skip > 0) {
      this.#skip--
      return undefined
    }
    this.#left--
    const {
      blockConnection,
      blockTimeMS,
      closeConnection,
      errorCode,
      errorLabels = [],
      writeConcernError,
    } = this.#data as {
      readonly blockConnection?: boolean
      readonly blockTimeMS?: number
      readonly closeConnection?: boolean
      readonly errorCode?: number
      readonly errorLabels?: readonly string[]
      readonly writeConcernError?: Document
    }
    return {
      blockMillis: blockConnection ? (blockTimeMS ?? 0) : 0,
      closesConnection: closeConnection ?? false,
      error:
        errorCode === undefined
          ? undefined
          : new CommandError(
              errorCode,
              codeNameOf(errorCode),
              `Failing command via 'failCommand' failpoint`,
              errorLabels,
            ),
      writeConcernError,
    }
  }
}
