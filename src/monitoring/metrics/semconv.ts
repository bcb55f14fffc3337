// Names of OpenTelemetry's semantic conventions, 1.44, copied because they are still in development there: an update of
// theirs must not rename a user's metrics. https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
export const DB = {
  count: 'db.client.connection.count',
  max: 'db.client.connection.max',
  idleMax: 'db.client.connection.idle.max',
  idleMin: 'db.client.connection.idle.min',
  pendingRequests: 'db.client.connection.pending_requests',
  timeouts: 'db.client.connection.timeouts',
  createTime: 'db.client.connection.create_time',
  waitTime: 'db.client.connection.wait_time',
  useTime: 'db.client.connection.use_time',
  poolName: 'db.client.connection.pool.name',
  state: 'db.client.connection.state',
} as const

export const HTTP = {
  openConnections: 'http.client.open_connections',
  connectionDuration: 'http.client.connection.duration',
  activeRequests: 'http.client.active_requests',
  state: 'http.connection.state',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  scheme: 'url.scheme',
} as const

/** The boundaries advised for database durations, in seconds. */
export const ADVISED_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] as const

/** For what lives long: connections. In seconds; .NET's boundaries for the same metric. */
export const LIFETIME_BUCKETS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300] as const
