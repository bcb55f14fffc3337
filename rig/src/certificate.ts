import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, NOBODY } from './child.ts'

/** A key and a certificate of its own for `localhost` and 127.0.0.1, readable by whoever the servers run as. Needs `openssl`. */
export function makeSelfSigned(folder: string, what: string): { readonly key: string; readonly certificate: string } {
  const [key, certificate] = [join(folder, 'server.key'), join(folder, 'server.crt')]
  try {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
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
