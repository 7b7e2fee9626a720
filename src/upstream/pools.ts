import type { Cluster as ClusterConfig } from '../config/schema/cluster.ts';
import { upstreamHttpOptions } from '../config/schema/upstream-http-options.ts';
import type { Cluster } from './cluster.ts';
import type { HttpPool } from './connection-pool.ts';
import type { Endpoint } from './endpoint.ts';
import { Http1Pool, type PoolOptions } from './http1-pool.ts';
import type { Http2PoolOptions } from './http2-pool.ts';
import type { RoutingPriority } from './limits.ts';

/** The pools of one endpoint, by priority; those of a cluster that speaks as its clients do are two. */
interface EndpointPools {
  DEFAULT: HttpPool | undefined;
  HIGH: HttpPool | undefined;
  DEFAULT_HTTP2: HttpPool | undefined;
  HIGH_HTTP2: HttpPool | undefined;
}

/** What the pools of a cluster have in common, computed once. */
interface ClusterPoolOptions extends PoolOptions {
  readonly protocol: ReturnType<typeof upstreamHttpOptions>['protocol'];
  readonly http2: Http2PoolOptions | undefined;
}

/** Undefined until a cluster speaks HTTP/2. */
let http2Pools: typeof import('./http2-pool.ts') | undefined;

/** Loads what the pools of these clusters need, before the first request. */
export async function loadPools(configs: readonly ClusterConfig[]): Promise<void> {
  if (configs.some((config) => upstreamHttpOptions(config).protocol !== 'HTTP1'))
    http2Pools ??= await import('./http2-pool.ts');
}

const optionsOfCluster = new WeakMap<Cluster, ClusterPoolOptions>();

/** The connection pool for an endpoint of a cluster, made on first use. `isHttp2`: the client speaks HTTP/2. */
export function poolOf(cluster: Cluster, endpoint: Endpoint, priority: RoutingPriority, isHttp2: boolean): HttpPool {
  let pools = endpoint.pool as EndpointPools | undefined;
  if (pools === undefined) {
    pools = { DEFAULT: undefined, HIGH: undefined, DEFAULT_HTTP2: undefined, HIGH_HTTP2: undefined };
    endpoint.pool = pools;
  }
  const options = poolOptions(cluster);
  const speaksHttp2 = options.http2 !== undefined && (isHttp2 || options.protocol !== 'DOWNSTREAM');
  if (!speaksHttp2) {
    pools[priority] ??= new Http1Pool(cluster, endpoint, priority, options);
    return pools[priority];
  }
  const key = priority === 'HIGH' ? 'HIGH_HTTP2' : 'DEFAULT_HTTP2';
  if (http2Pools === undefined) throw new Error('HTTP/2 was not loaded for this cluster');
  pools[key] ??= new http2Pools.Http2Pool(cluster, endpoint, priority, options, options.http2 as Http2PoolOptions);
  return pools[key];
}

/** Ends the pools of an endpoint: idle connections now (all with `close`), the others after their exchange. */
export function drainPools(endpoint: Endpoint, close = false): void {
  const pools = endpoint.pool as EndpointPools | undefined;
  for (const pool of [pools?.DEFAULT, pools?.HIGH, pools?.DEFAULT_HTTP2, pools?.HIGH_HTTP2]) {
    if (close) pool?.close();
    else pool?.drain();
  }
}

function poolOptions(cluster: Cluster): ClusterPoolOptions {
  let options = optionsOfCluster.get(cluster);
  if (options === undefined) {
    options = resolveOptions(cluster);
    optionsOfCluster.set(cluster, options);
  }
  return options;
}

function resolveOptions(cluster: Cluster): ClusterPoolOptions {
  const { config } = cluster;
  const { protocol, common, http1, http2 } = upstreamHttpOptions(config);
  const limits = {
    maxHeaderBytes: (common?.max_response_headers_kb ?? 80) * 1024,
    maxHeaderCount: common?.max_headers_count ?? 100,
  };
  const format = http1?.header_key_format;
  return {
    client: {
      headLimits: {
        ...limits,
        preserveCase: format?.stateful_formatter !== undefined,
      },
      enableTrailers: http1?.enable_trailers ?? false,
      properCase: format?.proper_case_words !== undefined,
    },
    idleTimeoutMs: common?.idle_timeout ?? 3_600_000,
    maxConnectionDurationMs: common?.max_connection_duration ?? 0,
    maxRequestsPerConnection:
      (common?.max_requests_per_connection ?? config.max_requests_per_connection) || Number.POSITIVE_INFINITY,
    preconnectRatio: config.preconnect_policy?.per_upstream_preconnect_ratio ?? 1,
    protocol,
    http2:
      protocol === 'HTTP1' || http2Pools === undefined
        ? undefined
        : {
            http2: http2Pools.resolveClusterHttp2(http2, limits),
            mayFallBack: protocol === 'ALPN',
          },
  };
}
