export { startPostgres, certificateOf, PostgresServer, type PostgresOptions } from './postgres.ts'
export { checkPostgres, POSTGRES_MAJORS, type PostgresMajor } from './postgres-binaries.ts'
export { promote, startStandby } from './postgres-standby.ts'
export { ServerView, type Backend } from './server-view.ts'
export { startFaultProxy, FaultProxy, type ConnectFault, type Faults, type ProxiedConnection } from './fault-proxy.ts'
export { startRedis, RedisServer, type RedisClientInfo, type RedisOptions } from './redis.ts'
export { startRedisCluster, RedisClusterServers, type RedisClusterOptions } from './redis-cluster.ts'
export { startRedisSentinel, RedisSentinelServers } from './redis-sentinel.ts'
export type { LaneFaults } from './proxy-lane.ts'
export { freePort, sleep, tryStart, waitFor } from './wait.ts'
export { startGrpc, GrpcServer, RIG_PROTO, type GrpcOptions, type GrpcView } from './grpc.ts'
export { startCoreGrpc } from './core-grpc.ts'
export { startHttp, HttpServer, type HttpOptions, type HttpView } from './http.ts'
export { startNginx, NginxServer, type NginxOptions } from './nginx.ts'
export { startHaproxy, HaproxyServer, type HaproxyOptions } from './haproxy.ts'
export { startPgBouncer, PgBouncerServer, type PgBouncerOptions } from './pgbouncer.ts'
export { NativeServer } from './native-server.ts'
export { startMariaDb, checkMariaDb, MariaDbServer, type MariaDbOptions } from './mariadb.ts'
export { MariaDbView, type MariaDbThread } from './mariadb-view.ts'
export { promtool, startPrometheus, PrometheusServer, type PrometheusOptions } from './prometheus.ts'
export {
  startMongoWire,
  startMongoWireSet,
  MongoWireServer,
  type FailCommand,
  type MongoWireOptions,
  type MongoWireView,
} from './mongo-wire.ts'
export { startJongodb, JongodbServer } from './jongodb.ts'
export { findProgram } from './child.ts'
export { findPython } from './python.ts'
export { NotInstalledError } from './not-installed.ts'
