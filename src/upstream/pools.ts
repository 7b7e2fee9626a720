import type { Cluster as ClusterConfig } from '../config/schema/cluster.ts';
import { upstreamHttpOptions } from '../config/schema/upstream-http-options.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { Cluster } from './cluster.ts';
import type { ConnectionPool, HttpPool } from './connection-pool.ts';
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
  /** Those of connections that are announced as their clients'; undefined without. */
  byClient: Map<ConnectionInfo, EndpointPools> | undefined;
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

/** The endpoints that have pools of a client's own. */
const endpointsOfClient = new Map<ConnectionInfo, Set<Endpoint>>();

/** A client's connection has ended: what is announced as its connections is of no use to others. */
export function releaseClient(client: ConnectionInfo): void {
  const endpoints = endpointsOfClient.get(client);
  if (endpoints === undefined) return;
  endpointsOfClient.delete(client);
  for (const endpoint of endpoints) {
    const byClient = (endpoint.pool as EndpointPools).byClient;
    const pools = byClient?.get(client);
    byClient?.delete(client);
    drainAll(pools, false);
  }
}

function poolsOf(cluster: Cluster, endpoint: Endpoint, client: ConnectionInfo | undefined): EndpointPools {
  endpoint.pool ??= noPools();
  const pools = endpoint.pool as EndpointPools;
  if (cluster.proxyProtocol?.isAbout(client) !== true) return pools;
  pools.byClient ??= new Map();
  let own = pools.byClient.get(client);
  if (own === undefined) {
    own = noPools();
    pools.byClient.set(client, own);
    const endpoints = endpointsOfClient.get(client);
    if (endpoints === undefined) endpointsOfClient.set(client, new Set([endpoint]));
    else endpoints.add(endpoint);
  }
  return own;
}

function noPools(): EndpointPools {
  return {
    DEFAULT: undefined,
    HIGH: undefined,
    DEFAULT_HTTP2: undefined,
    HIGH_HTTP2: undefined,
    byClient: undefined,
  };
}

/**
 * The connection pool for an endpoint of a cluster, made on first use. `isHttp2`: the client speaks HTTP/2. `client` is
 * whose requests they are, where somebody's.
 */
export function poolOf(
  cluster: Cluster,
  endpoint: Endpoint,
  priority: RoutingPriority,
  isHttp2: boolean,
  client?: ConnectionInfo,
): HttpPool {
  const pools = poolsOf(cluster, endpoint, client);
  const options = poolOptions(cluster);
  const speaksHttp2 = options.http2 !== undefined && (isHttp2 || options.protocol !== 'DOWNSTREAM');
  if (!speaksHttp2) {
    pools[priority] ??= forClient(new Http1Pool(cluster, endpoint, priority, options), client);
    return pools[priority];
  }
  const key = priority === 'HIGH' ? 'HIGH_HTTP2' : 'DEFAULT_HTTP2';
  if (http2Pools === undefined) throw new Error('HTTP/2 was not loaded for this cluster');
  pools[key] ??= forClient(
    new http2Pools.Http2Pool(cluster, endpoint, priority, options, options.http2 as Http2PoolOptions),
    client,
  );
  return pools[key];
}

/** Ends the pools of an endpoint: idle connections now (all with `close`), the others after their exchange. */
export function drainPools(endpoint: Endpoint, close = false): void {
  const pools = endpoint.pool as EndpointPools | undefined;
  drainAll(pools, close);
  for (const own of pools?.byClient?.values() ?? []) drainAll(own, close);
}

function drainAll(pools: EndpointPools | undefined, close: boolean): void {
  for (const pool of [pools?.DEFAULT, pools?.HIGH, pools?.DEFAULT_HTTP2, pools?.HIGH_HTTP2]) {
    if (close) pool?.close();
    else pool?.drain();
  }
}

/** Connections of a client's own pool are announced as its own; those of all clients' as nobody's. */
function forClient<Pool extends ConnectionPool>(pool: Pool, client: ConnectionInfo | undefined): Pool {
  if (pool.cluster.proxyProtocol?.isAbout(client) === true) pool.client = client;
  return pool;
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
