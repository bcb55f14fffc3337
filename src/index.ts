export { Pool } from './core/pool.ts'
export type { AcquireOptions, ReadyOptions } from './core/pool.ts'
export { Lease } from './core/lease.ts'
export {
  AcquireTimeoutError,
  CreateError,
  DeadlockError,
  LeaseReleasedError,
  NameTakenError,
  OptionError,
  OverloadedError,
  PoolClosedError,
  PoolDownError,
  PoolError,
} from './core/errors.ts'
export type { PoolErrorCode } from './core/errors.ts'
export type { CreateContext, DestroyReason, FailureClass, ResourceFactory, StepContext } from './core/factory.ts'
export type { PoolHooks, PoolOptions } from './core/options.ts'
export type { PoolEventName, PoolEvents, SlowOperation } from './core/events.ts'
export type { PoolState } from './core/lifecycle.ts'
export type { PoolStats } from './core/stats.ts'
export type { HistogramSnapshot } from './core/histogram.ts'
export type { Distribution, Distributions } from './core/distribution.ts'
export type { OperationTold, Operations } from './core/operations.ts'
export { fingerprint } from './core/fingerprint.ts'
export type { SqlDialect } from './core/fingerprint.ts'
export type { AcquireReport, Diagnosis, LeaseInfo, ResourceInfo, WaiterInfo } from './core/report.ts'
export type { CloseReport } from './core/close-report.ts'
export type {
  CloseOptions,
  InvalidateOptions,
  PoolCore,
  Steering,
  HealthCheck,
  HealthOptions,
  LookOptions,
  ManagedPool,
  PoolEventSource,
} from './core/managed-pool.ts'
export type { Clock, Timer } from './core/clock.ts'
export { PoolRegistry } from './registry/registry.ts'
export type { RegisterOptions, RegistryCloseOptions, RegistryHealth } from './registry/registry.ts'
export type { ProcessLike, SignalOptions } from './registry/close-on-signals.ts'
export { PoolGroup } from './registry/pool-group.ts'
export type { PoolGroupOptions } from './registry/pool-group.ts'
export { definePool } from './registry/define-pool.ts'
export { defineRegistry } from './registry/define-registry.ts'
export { stopServer } from './registry/stop-server.ts'
export type { StoppableServer } from './registry/stop-server.ts'
export type { UntilEmptyOptions } from './registry/until-empty.ts'
