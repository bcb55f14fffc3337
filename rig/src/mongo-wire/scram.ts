import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import { authenticationFailed } from './errors.ts'

const ITERATIONS = 4_096 // the least that drivers take

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** The server's side of SCRAM-SHA-256 (RFC 7677) for one login. */
export class ScramLogin {
  readonly #passwords: Readonly<Record<string, string>>
  readonly #salt = randomBytes(16)
  #user = ''
  #first = ''
  #nonce = ''
  #step = 0

  constructor(passwords: Readonly<Record<string, string>>) {
    this.#passwords = passwords
  }

  /** What is answered, and who has proved to be whom once it is over. */
  answer(payload: Buffer): { readonly payload: Buffer; readonly user: string | undefined; readonly done: boolean } {
    this.#step++
    if (this.#step === 1) return { payload: this.#challenge(payload.toString()), user: undefined, done: false }
    if (this.#step > 2) return { payload: Buffer.alloc(0), user: this.#user, done: true }
    return { payload: this.#verify(payload.toString()), user: this.#user, done: false }
  }

  #challenge(clientFirst: string): Buffer {
    const bare = clientFirst.slice(clientFirst.indexOf(',', clientFirst.indexOf(',') + 1) + 1)
    const fields = fieldsOf(bare)
    this.#user = (fields['n'] ?? '').replaceAll('=2C', ',').replaceAll('=3D', '=')
    this.#nonce = `${fields['r'] ?? ''}${randomBytes(18).toString('base64')}`
    const serverFirst = `r=${this.#nonce},s=${this.#salt.toString('base64')},i=${ITERATIONS}`
    this.#first = `${bare},${serverFirst}`
    return Buffer.from(serverFirst)
  }

  #verify(clientFinal: string): Buffer {
    const password = this.#passwords[this.#user]
    const fields = fieldsOf(clientFinal)
    if (password === undefined || fields['r'] !== this.#nonce) throw authenticationFailed()
    const salted = pbkdf2Sync(password, this.#salt, ITERATIONS, 32, 'sha256')
    const clientKey = hmac(salted, 'Client Key')
    const storedKey = createHash('sha256').update(clientKey).digest()
    const message = `${this.#first},${clientFinal.slice(0, clientFinal.lastIndexOf(',p='))}`
    const signature = hmac(storedKey, message)
    const proof = Buffer.from(fields['p'] ?? '', 'base64')
    const expected = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)))
    if (proof.length !== expected.length || !timingSafeEqual(proof, expected)) throw authenticationFailed()
    return Buffer.from(`v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`)
  }
}

function fieldsOf(text: string): Record<string, string> {
  return Object.fromEntries(text.split(',').map((field) => [field.slice(0, 1), field.slice(2)]))
}
