import type { LoadedConfig } from './config/load.ts';
import type { ListenerSocket } from './listener/listener-socket.ts';
import type {
  ClusterView,
  DrainOptions,
  EndpointView,
  LimitsView,
  ListenerView,
  OutlierView,
  ProxyView,
  ServerState,
} from './observe/admin/view.ts';
import { certificatesOf } from './observe/certificates.ts';
import { snapshotOf } from './observe/stats-snapshot.ts';
import { packageInfo } from './package-info.ts';
import type { Runtime } from './runtime.ts';
import type { Cluster } from './upstream/cluster.ts';
import type { Endpoint } from './upstream/endpoint.ts';
import { healthFlagsText } from './upstream/health-flags.ts';
import type { ResourceLimits } from './upstream/limits.ts';
import type { OutlierDetector } from './upstream/outlier/outlier-detector.ts';

/** What the view reads of the proxy. */
export interface ViewSource {
  readonly runtime: Runtime;
  readonly config: LoadedConfig;
  readonly loadedAtEpochMs: number;
  readonly concurrency: number;
  readonly state: ServerState;
  sockets(): Iterable<ListenerSocket>;
  failHealthChecks(fail: boolean): void;
  /** False once health checks are failed from outside: the server says then that it drains, as Envoy does. */
  healthy(): boolean;
  drainListeners(options: DrainOptions): void;
  reopenLogs(): void;
  quit(): void;
}

/** The proxy as the admin server sees it. */
export function createProxyView(source: ViewSource): ProxyView {
  const { runtime } = source;
  return {
    version: packageInfo().version,
    startedAtEpochMs: Math.round(performance.timeOrigin),
    node: runtime.facts.node,
    options: { concurrency: source.concurrency, config_path: source.config.file },
    state: () => (source.state === 'LIVE' && !source.healthy() ? 'DRAINING' : source.state),
    stats: () => {
      runtime.clusters.publishStats();
      certificatesOf(runtime.stats).publish();
      return snapshotOf(runtime.stats);
    },
    resetCounters: () => {
      for (const counter of runtime.stats.counters.values()) counter.value = 0;
    },
    listeners: () => Array.from(source.sockets(), listenerView),
    clusters: () => {
      runtime.clusters.publishStats();
      return runtime.clusters.clusters.map(clusterView);
    },
    threadTimes: () => (runtime.probe === undefined ? [] : [runtime.probe.report()]),
    denials: () => runtime.denials.list(),
    tapConfigIds: () => runtime.taps.configIds(),
    pollTap: (poll) => runtime.taps.poll(poll),
    detachTap: (reader) => runtime.taps.detach(reader),
    config: () => ({
      bootstrap: source.config.canonical,
      hash: source.config.hash,
      loadedAtEpochMs: source.loadedAtEpochMs,
    }),
    certificates: () => certificatesOf(runtime.stats).list(),
    pendingInit: () => (source.state === 'INITIALIZING' ? ['listeners'] : []),
    failHealthChecks: (fail) => source.failHealthChecks(fail),
    drainListeners: (options) => source.drainListeners(options),
    reopenLogs: () => source.reopenLogs(),
    quit: () => source.quit(),
  };
}

function listenerView(socket: ListenerSocket): ListenerView {
  const { current } = socket;
  const { address, port } = socket.bound();
  return {
    name: current.name,
    address,
    port,
    kind: current.chains[0]?.kind ?? 'tcp',
    activeConnections: current.activeConnections,
    filterChains: current.chains.map((chain) => ({ name: chain.name, filters: chain.filterNames })),
  };
}

function clusterView(cluster: Cluster): ClusterView {
  return {
    name: cluster.name,
    type: cluster.config.type,
    limits: { default: limitsView(cluster.limits.DEFAULT), high: limitsView(cluster.limits.HIGH) },
    outlier: cluster.outliers === undefined ? undefined : outlierView(cluster.outliers),
    endpoints: cluster.endpoints.map((endpoint) => endpointView(endpoint, cluster.outliers)),
  };
}

function limitsView(limits: ResourceLimits): LimitsView {
  return {
    max_connections: limits.connections.max,
    max_pending_requests: limits.pendingRequests.max,
    max_requests: limits.requests.max,
    max_retries: limits.retries.max,
  };
}

function outlierView({ rates }: OutlierDetector): OutlierView {
  return {
    success_rate_average: rates.external.average,
    success_rate_ejection_threshold: rates.external.threshold,
    local_origin_success_rate_average: rates.local.average,
    local_origin_success_rate_ejection_threshold: rates.local.threshold,
  };
}

function endpointView(endpoint: Endpoint, outliers: OutlierDetector | undefined): EndpointView {
  const { stats } = endpoint;
  return {
    address: endpoint.address,
    hostname: endpoint.hostname,
    healthy: endpoint.healthy,
    healthFlags: healthFlagsText(endpoint.assignedHealth, endpoint.healthFlags),
    weight: endpoint.weight,
    priority: endpoint.priority,
    locality: {
      region: endpoint.locality.region,
      zone: endpoint.locality.zone,
      sub_zone: endpoint.locality.subZone,
    },
    canary: endpoint.labels.canary === true,
    successRate: outliers?.successRate(endpoint, 'external') ?? -1,
    localOriginSuccessRate: outliers?.successRate(endpoint, 'local') ?? -1,
    stats: {
      cx_total: stats.cxTotal,
      cx_active: stats.cxActive,
      cx_connect_fail: stats.cxConnectFail,
      rq_total: stats.rqTotal,
      rq_active: endpoint.activeRequests,
      rq_error: stats.rqError,
      rq_success: stats.rqSuccess,
      rq_timeout: stats.rqTimeout,
    },
  };
}
