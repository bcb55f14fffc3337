/** What ioredis hangs on its errors. */
interface IoredisError {
  message: string
  /** The command that was refused, with all that it was sent. */
  command?: { readonly name?: unknown }
  /** Of a cluster of which no node answers: what the last one said. */
  readonly lastNodeError?: unknown
}

/**
 * Takes the password off the error of a login that was refused, which ioredis leaves in it, and has the error of a
 * cluster say what its nodes said. It stays the driver's own object.
 */
export function tidy(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const given = error as Error & IoredisError
  if (/^(auth|hello)$/i.test(String(given.command?.name))) given.command = { name: given.command?.name }
  const { lastNodeError } = given
  tidy(lastNodeError)
  if (lastNodeError instanceof Error && !given.message.includes(lastNodeError.message))
    given.message += ` The last node said: ${lastNodeError.message}`
  return error
}
