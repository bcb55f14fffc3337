/** This machine has no program for a server. Everything else that goes wrong is a server that could not be started. */
export class NotInstalledError extends Error {
  override readonly name = 'NotInstalledError'
}
