import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, NOBODY } from './child.ts'

/** The files of a key and of its certificate. */
export interface CertificateFiles {
  readonly key: string
  readonly certificate: string
}

/**
 * A key and a certificate of its own for `localhost` and 127.0.0.1, readable by whoever the servers run as; replaces
 * those of the same name. Needs `openssl`.
 *
 * @param what - what needs it, for the error where there is no `openssl`
 * @param name - the files' name, and the subject of one that is not the server's
 */
export function makeSelfSigned(folder: string, what: string, name = 'server'): CertificateFiles {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  try {
    const common = name === 'server' ? 'localhost' : name
    const subject = ['-subj', `/CN=${common}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject],
      { stdio: 'pipe' },
    )
  } catch (error) {
    throw new Error(`${what} with TLS needs the program \`openssl\``, { cause: error })
  }
  chmodSync(key, 0o600)
  if (isRoot) for (const file of [key, certificate]) chownSync(file, NOBODY.uid, NOBODY.gid)
  return { key, certificate }
}
