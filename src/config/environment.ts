import { readFileSync } from 'node:fs'

export type Env = Readonly<Record<string, string | undefined>>

/** A variable that is set, and the name under which it was found. */
export interface Variable {
  readonly name: string
  readonly text: string
}

/** The environment: empty variables are not set, and `<NAME>_FILE` names a file that holds the secret. */
export class Environment {
  readonly #env: Env
  readonly #readFile: (path: string) => string

  constructor(env: Env, readFile: (path: string) => string = (path) => readFileSync(path, 'utf8')) {
    this.#env = env
    this.#readFile = readFile
  }

  get names(): string[] {
    return Object.keys(this.#env).filter((name) => this.#env[name] !== undefined && this.#env[name] !== '')
  }

  /** All of these that are set, in their order. @throws {Error} when the file of a secret cannot be read */
  all(names: readonly string[], secret: boolean): Variable[] {
    return names.flatMap((name) => {
      const plain = this.#env[name]
      const file = secret ? this.#env[`${name}_FILE`] : undefined
      return [
        ...(plain === undefined || plain === '' ? [] : [{ name, text: plain }]),
        ...(file === undefined || file === '' ? [] : [{ name: `${name}_FILE`, text: this.#readSecret(name, file) }]),
      ]
    })
  }

  #readSecret(name: string, path: string): string {
    try {
      // Editors and `echo` end a file with a line break that is no part of the secret.
      return this.#readFile(path).replace(/\r?\n$/, '')
    } catch (error) {
      throw new Error(
        `\`${name}_FILE\` names ${path}, which cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`,
        { cause: error },
      )
    }
  }
}
