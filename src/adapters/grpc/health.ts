import { STATUS, type GrpcClient, type ServiceErrorLike } from './driver.ts'

/** `ServingStatus` of `grpc.health.v1`, https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'

const SERVING_STATUSES: readonly ServingStatus[] = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const CHECK = '/grpc.health.v1.Health/Check'

/** `HealthCheckRequest { string service = 1; }` */
export function encodeRequest(service: string): Buffer {
  const text = Buffer.from(service)
  if (text.length === 0) return text
  const length: number[] = []
  let rest = text.length
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([0x0a, ...length, rest]), text])
}

/** `HealthCheckResponse { ServingStatus status = 1; }`; the default of an enum is not sent. */
export function decodeResponse(bytes: Buffer): ServingStatus {
  const status = bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0
  return SERVING_STATUSES[status] ?? 'UNKNOWN'
}

/** What became of a check: the server's word, or the error that came in its place. */
export type HealthAnswer =
  | { readonly status: ServingStatus; readonly error?: undefined }
  | { readonly status?: undefined; readonly error: ServiceErrorLike }

interface UnaryRequest {
  (
    method: string,
    serialize: (service: string) => Buffer,
    deserialize: (bytes: Buffer) => ServingStatus,
    service: string,
    options: { readonly deadline: number },
    callback: (error: ServiceErrorLike | null, status?: ServingStatus) => void,
  ): { cancel(): void }
}

/** Asks the server's health service on the channel of this client. Never rejects. */
export function askHealth(
  client: GrpcClient,
  service: string,
  timeoutMillis: number,
  signal?: AbortSignal,
): Promise<HealthAnswer> {
  return new Promise((resolve) => {
    const deadline = Date.now() + Math.min(timeoutMillis, 2 ** 31 - 1)
    const request = client.makeUnaryRequest.bind(client) as UnaryRequest
    const call = request(CHECK, encodeRequest, decodeResponse, service, { deadline }, (error, status) => {
      signal?.removeEventListener('abort', cancel)
      resolve(error === null ? { status: status ?? 'UNKNOWN' } : { error })
    })
    const cancel = (): void => {
      call.cancel()
    }
    signal?.addEventListener('abort', cancel, { once: true })
  })
}

/** Whether the server itself has answered, be it that it knows no health service. */
export function hasAnswered({ error }: HealthAnswer): boolean {
  if (error === undefined) return true
  return error.code !== STATUS.UNAVAILABLE && error.code !== STATUS.DEADLINE_EXCEEDED && error.code !== STATUS.CANCELLED
}
