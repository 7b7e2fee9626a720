import { addressJson } from './config-dump.ts';
import type { ClusterView, EndpointView, ListenerView } from './view.ts';

const GAUGES = new Set(['cx_active', 'rq_active', 'rq_pending_active']);

/** Envoy's text form of /clusters. */
export function clustersText(clusters: readonly ClusterView[]): string {
  return clusters.map(clusterText).join('');
}

function clusterText({ name, limits, outlier, endpoints }: ClusterView): string {
  let text = `${name}::observability_name::${name}\n`;
  for (const [figure, percent] of Object.entries(outlier ?? {}))
    text += `${name}::outlier::${figure}::${sixDigits(percent)}\n`;
  for (const priority of ['default', 'high'] as const) {
    for (const [limit, value] of Object.entries(limits[priority])) {
      text += `${name}::${priority}_priority::${limit}::${value}\n`;
    }
  }
  text += `${name}::added_via_api::false\n`;
  for (const endpoint of endpoints) {
    for (const [key, value] of endpointFacts(endpoint)) text += `${name}::${endpoint.address}::${key}::${value}\n`;
  }
  return text;
}

function endpointFacts(endpoint: EndpointView): [key: string, value: string | number][] {
  const stats = Object.entries(endpoint.stats).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...stats,
    ['hostname', endpoint.hostname],
    ['health_flags', endpoint.healthFlags],
    ['weight', endpoint.weight],
    ...Object.entries(endpoint.locality),
    ['canary', String(endpoint.canary)],
    ['priority', endpoint.priority],
    ['success_rate', endpoint.successRate],
    ['local_origin_success_rate', endpoint.localOriginSuccessRate],
  ];
}

/** As printf's `%g`, which Envoy uses for the figures of a cluster. */
function sixDigits(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** envoy.admin.v3.Clusters. */
export function clustersJson(clusters: readonly ClusterView[]): object {
  return {
    cluster_statuses: clusters.map(({ name, limits, endpoints }) => ({
      name,
      host_statuses: endpoints.map(hostStatus),
      circuit_breakers: { thresholds: [limits.default, { priority: 'HIGH', ...limits.high }] },
      observability_name: name,
    })),
  };
}

function hostStatus(endpoint: EndpointView): object {
  return {
    address: addressJson(endpoint.address),
    stats: Object.entries(endpoint.stats).map(([name, value]) => ({
      ...(GAUGES.has(name) ? { type: 'GAUGE' } : {}),
      value: String(value),
      name,
    })),
    health_status: healthStatus(endpoint.healthFlags),
    ...(endpoint.successRate < 0 ? {} : { success_rate: { value: endpoint.successRate } }),
    ...(endpoint.localOriginSuccessRate < 0
      ? {}
      : { local_origin_success_rate: { value: endpoint.localOriginSuccessRate } }),
    weight: endpoint.weight,
    ...(endpoint.priority === 0 ? {} : { priority: endpoint.priority }),
    hostname: endpoint.hostname,
    locality: Object.fromEntries(Object.entries(endpoint.locality).filter(([, name]) => name !== '')),
  };
}

/** Fields of envoy.admin.v3.HostHealthStatus whose flag has another name. */
const HEALTH_FIELDS: Readonly<Record<string, string>> = {
  failed_active_hc: 'failed_active_health_check',
  degraded_active_hc: 'failed_active_degraded_check',
};

/** Health that the configuration gives, as a flag, by its name there. */
const EDS_HEALTH: Readonly<Record<string, string>> = {
  failed_eds_health: 'UNHEALTHY',
  degraded_eds_health: 'DEGRADED',
  eds_status_draining: 'DRAINING',
};

function healthStatus(flags: string): object {
  const status: Record<string, string | boolean> = { eds_health_status: 'HEALTHY' };
  for (const flag of flags.split('/').filter((word) => word !== '' && word !== 'healthy')) {
    const health = EDS_HEALTH[flag];
    if (health === undefined) status[HEALTH_FIELDS[flag] ?? flag] = true;
    else status.eds_health_status = health;
  }
  return status;
}

/** Envoy's text form of /listeners. */
export function listenersText(listeners: readonly ListenerView[]): string {
  return listeners.map((listener) => `${listener.name}::${listenerAddress(listener)}\n`).join('');
}

/** envoy.admin.v3.Listeners. */
export function listenersJson(listeners: readonly ListenerView[]): object {
  return {
    listener_statuses: listeners.map((listener) => ({
      name: listener.name,
      local_address: addressJson(listenerAddress(listener)),
    })),
  };
}

/** `ip:port`, `[ip]:port` or the path of a pipe. */
export function listenerAddress({ address, port }: ListenerView): string {
  if (port === 0) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
