export type { AdminOptions, AdminServer } from './server.ts';
export { startAdminServer } from './server.ts';
export type {
  ClusterView,
  ConfigView,
  DrainOptions,
  EndpointView,
  LimitsView,
  ListenerView,
  Maybe,
  ProxyView,
  ServerState,
} from './view.ts';
