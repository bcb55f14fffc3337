/**
 * How a dialect reads what a fingerprint must not show. `standard`: double quotes hold names, and a backslash is a
 * character like any other (except in `E'…'`), as in PostgreSQL. `mysql`: double quotes hold text, and a backslash
 * escapes.
 */
export type SqlDialect = 'standard' | 'mysql'

/** Only so much of a statement is read. */
const LONGEST_INPUT = 20_000
const LONGEST_OUTPUT = 1_000

/** Letters before a quote that belong to the text: `E'…'`, `B'…'`, `X'…'`, `N'…'`. */
const PREFIX = /^[ebxn]$/i

/**
 * What is the same in all statements that differ only in their values: text, numbers and placeholders are `?`, lists of
 * them one `(?)`, comments are gone, white space is one space. Text that does not end is a value to its end, so that a
 * statement that was cut shows none either.
 */
export function fingerprint(statement: string, dialect: SqlDialect = 'standard'): string {
  const input = statement.length > LONGEST_INPUT ? statement.slice(0, LONGEST_INPUT) : statement
  return new Scanner(input, dialect)
    .scan()
    .trim()
    .replace(/\( ?\?(?: ?, ?\?)+ ?\)/g, '(?)')
    .replace(/\(\?\)(?: ?, ?\(\?\))+/g, '(?)')
    .slice(0, LONGEST_OUTPUT)
}

const isSpace = (char: string): boolean => char <= ' ' && char !== ''
const isDigit = (char: string): boolean => char >= '0' && char <= '9'
/** Of names: letters, digits, `_`, and everything beyond ASCII. */
const isWord = (char: string): boolean => /^[\w\u0080-\uffff]$/.test(char)

class Scanner {
  readonly #text: string
  readonly #mysql: boolean
  #at = 0
  #out = ''

  constructor(text: string, dialect: SqlDialect) {
    this.#text = text
    this.#mysql = dialect === 'mysql'
  }

  scan(): string {
    while (this.#at < this.#text.length) this.#step(this.#char(0), this.#char(1))
    return this.#out
  }

  #char(offset: number): string {
    return this.#text.charAt(this.#at + offset)
  }

  #step(char: string, next: string): void {
    if (isSpace(char)) this.#space(1)
    else if ((char === '-' && next === '-') || (char === '#' && this.#mysql)) this.#skipPast('\n')
    else if (char === '/' && next === '*') this.#comment()
    else if (char === "'") this.#value(() => this.#quoted("'", this.#mysql))
    else if (char === '"' && this.#mysql) this.#value(() => this.#quoted('"', true))
    else if (char === '"' || char === '`') this.#keep(() => this.#quoted(char, false))
    else if (char === '$' && !this.#mysql) this.#dollar()
    else if (isDigit(char) || (char === '.' && isDigit(next))) this.#value(() => this.#number())
    else if (isWord(char)) this.#word()
    else this.#keep(() => this.#at++)
  }

  #space(length: number): void {
    this.#at += length
    if (this.#out !== '' && !this.#out.endsWith(' ')) this.#out += ' '
  }

  #keep(read: () => void): void {
    const from = this.#at
    read()
    this.#out += this.#text.slice(from, this.#at)
  }

  #value(read: () => void): void {
    read()
    this.#out += '?'
  }

  #skipPast(end: string): void {
    const at = this.#text.indexOf(end, this.#at)
    this.#at = at < 0 ? this.#text.length : at + end.length
    this.#space(0)
  }

  /** PostgreSQL's comments nest. */
  #comment(): void {
    let depth = 0
    do {
      const opens = this.#char(0) === '/' && this.#char(1) === '*'
      const closes = this.#char(0) === '*' && this.#char(1) === '/'
      if (opens && (depth === 0 || !this.#mysql)) depth++
      else if (closes) depth--
      this.#at += opens || closes ? 2 : 1
    } while (depth > 0 && this.#at < this.#text.length)
    this.#space(0)
  }

  /** A doubled quote stands for itself. */
  #quoted(quote: string, escapes: boolean): void {
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const char = this.#char(0)
      if (escapes && char === '\\') this.#at++
      else if (char === quote && this.#char(1) === quote) this.#at++
      else if (char === quote) break
    }
    this.#at++
  }

  /** `$1`, or text in `$tag$ … $tag$`. */
  #dollar(): void {
    const placeholder = /^\$\d+/.exec(this.#text.slice(this.#at, this.#at + 10))
    const tag = /^\$\w*\$/.exec(this.#text.slice(this.#at, this.#at + 70))
    if (placeholder !== null) this.#value(() => (this.#at += placeholder[0].length))
    else if (tag !== null) {
      this.#at += tag[0].length
      this.#value(() => this.#skipPast(tag[0]))
    } else this.#keep(() => this.#at++)
  }

  #number(): void {
    while (isWord(this.#char(0)) || this.#char(0) === '.' || this.#isExponentSign()) this.#at++
  }

  /** The sign in `1e-5`. */
  #isExponentSign(): boolean {
    return (this.#char(0) === '-' || this.#char(0) === '+') && /[eE]/.test(this.#char(-1)) && isDigit(this.#char(1))
  }

  #word(): void {
    const from = this.#at
    while (isWord(this.#char(0)) || this.#char(0) === '$') this.#at++
    const word = this.#text.slice(from, this.#at)
    if (this.#char(0) === "'" && PREFIX.test(word)) {
      this.#value(() => this.#quoted("'", this.#mysql || /^e$/i.test(word)))
    } else this.#out += word
  }
}
