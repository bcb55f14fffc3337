export { toNodeHandler, type NodeRequest, type NodeResponse, type WebHandler } from '../health/node-handler.ts'
export { dashboard, type Dashboard, type Watchable } from './dashboard.ts'
export { serveDashboard, type ServedDashboard, type ServeOptions } from './serve.ts'
export type { AuditEntry, DashboardOptions, RemoteInstance } from './options.ts'
export type {
  ActionName,
  ActionRequest,
  AdviceView,
  EventView,
  Hello,
  InstanceView,
  PartView,
  PoolDetail,
  Sizes,
  PoolView,
  RecentTimes,
  SettingView,
  Tick,
} from './protocol.ts'
export type { HistoryColumns, Sample, SeriesName } from './history.ts'
