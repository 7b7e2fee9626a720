import type { HealthCheck } from '../../config/schema/health-check.ts';
import { StatsStore } from '../../observe/stats.ts';
import type { Cluster } from '../cluster.ts';
import { ClusterStats } from '../cluster-stats.ts';
import type { ConnectTarget } from '../connect.ts';
import { Endpoint } from '../endpoint.ts';

/** A check has its own time limit, which covers connecting: this one is only to come later. */
const CONNECT_SLACK_MS = 1000;

/** Where connections of checks are counted: not among those of requests. */
const unseen = new ClusterStats(new StatsStore());

/** How a cluster's endpoints are connected to for their checks: as for requests, but uncounted. */
export function probeTarget(cluster: Cluster, check: HealthCheck): ConnectTarget {
  const alpn = check.tls_options?.alpn_protocols ?? [];
  return {
    config: cluster.config,
    connectTimeoutMs: check.timeout + CONNECT_SLACK_MS,
    stats: unseen,
    proxyProtocol: cluster.proxyProtocol,
    // The cluster's TLS, or the same with other protocols to offer.
    tls: alpn.length === 0 ? cluster.tls : cluster.tls?.withProtocols(alpn),
  };
}

/** The address at which an endpoint is checked, as an endpoint. */
export function probedEndpoint(endpoint: Endpoint): Endpoint {
  const { healthCheck, host, port, pipe } = endpoint;
  const address = healthCheck?.address ?? { host, port, pipe };
  const isMoved = healthCheck !== undefined && healthCheck.port !== 0 && address.pipe === undefined;
  return new Endpoint(isMoved ? { ...address, port: healthCheck.port } : address, {
    hostname: endpoint.hostname,
    hashKey: '',
    weight: 1,
    priority: 0,
    health: 'healthy',
    locality: endpoint.locality,
  });
}

/** Host of the requests to an endpoint: its own, or the check's, or the cluster's name. */
export function probedHost(cluster: Cluster, endpoint: Endpoint, host: string): string {
  return endpoint.healthCheck?.hostname || host || cluster.name;
}
