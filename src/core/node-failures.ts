import type { FailureClass } from './factory.ts'

/** For adapters: what Node's own codes mean, of sockets, name resolution and TLS. */
export const NODE_FAILURES: Readonly<Record<string, FailureClass>> = {
  ECONNREFUSED: 'restart',
  ECONNRESET: 'disconnect',
  EPIPE: 'disconnect',
  ECONNABORTED: 'disconnect',
  EHOSTUNREACH: 'disconnect',
  ENETUNREACH: 'disconnect',
  EHOSTDOWN: 'disconnect',
  ENOENT: 'restart', // no such unix socket: nobody listens
  ERR_STREAM_DESTROYED: 'disconnect',
  ETIMEDOUT: 'timeout',
  EMFILE: 'saturated', // of this process: no more files
  ENFILE: 'saturated',
  EADDRNOTAVAIL: 'saturated', // of this machine: no more ports
  ENOTFOUND: 'config',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  EPROTO: 'tls',
}
