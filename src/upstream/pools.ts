import { upstreamHttpOptions } from '../config/schema/upstream-http-options.ts';
import type { Cluster } from './cluster.ts';
import type { Endpoint } from './endpoint.ts';
import { Http1Pool, type PoolOptions } from './http1-pool.ts';
import type { RoutingPriority } from './limits.ts';

/** The pools of one endpoint, by priority. */
interface EndpointPools {
  DEFAULT: Http1Pool | undefined;
  HIGH: Http1Pool | undefined;
}

const optionsOfCluster = new WeakMap<Cluster, PoolOptions>();

/** The connection pool for an endpoint of a cluster, made on first use. */
export function poolOf(cluster: Cluster, endpoint: Endpoint, priority: RoutingPriority): Http1Pool {
  let pools = endpoint.pool as EndpointPools | undefined;
  if (pools === undefined) {
    pools = { DEFAULT: undefined, HIGH: undefined };
    endpoint.pool = pools;
  }
  pools[priority] ??= new Http1Pool(cluster, endpoint, priority, poolOptions(cluster));
  return pools[priority];
}

/** Ends the pools of an endpoint: idle connections now (all with `close`), the others after their exchange. */
export function drainPools(endpoint: Endpoint, close = false): void {
  const pools = endpoint.pool as EndpointPools | undefined;
  for (const pool of [pools?.DEFAULT, pools?.HIGH]) {
    if (close) pool?.close();
    else pool?.drain();
  }
}

function poolOptions(cluster: Cluster): PoolOptions {
  let options = optionsOfCluster.get(cluster);
  if (options === undefined) {
    options = resolveOptions(cluster);
    optionsOfCluster.set(cluster, options);
  }
  return options;
}

function resolveOptions(cluster: Cluster): PoolOptions {
  const { config } = cluster;
  const { common, http1 } = upstreamHttpOptions(config);
  const format = http1?.header_key_format;
  return {
    client: {
      headLimits: {
        maxHeaderBytes: (common?.max_response_headers_kb ?? 80) * 1024,
        maxHeaderCount: common?.max_headers_count ?? 100,
        preserveCase: format?.stateful_formatter !== undefined,
      },
      enableTrailers: http1?.enable_trailers ?? false,
      properCase: format?.proper_case_words !== undefined,
    },
    idleTimeoutMs: common?.idle_timeout ?? 3_600_000,
    maxRequestsPerConnection:
      (common?.max_requests_per_connection ?? config.max_requests_per_connection) || Number.POSITIVE_INFINITY,
  };
}
