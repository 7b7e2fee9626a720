import type { Path } from '../errors.ts';
import { Problem } from '../schema/schema.ts';
import { accessLogs } from './access-log.ts';
import { expandFilter, type FilterEntry } from './filters.ts';
import { corsPolicy } from './http-filters.ts';
import { detecting, proxyProtocol } from './listener-filters.ts';
import type { Provenance } from './provenance.ts';
import { routes } from './routes.ts';
import type { HttpOptions, ListenerEntry } from './schema.ts';
import { KEEP_CASE } from './upstream.ts';

type Canonical = Record<string, unknown>;

export interface NamedFilter {
  name: string;
  typed_config: Canonical;
}

/** What a listener of the short form needs to know of the file around it. */
export interface ListenerContext {
  /** Cluster of the listener's own app, if it has one. */
  readonly appCluster: string | undefined;
  /** Path of the listener in the file. */
  readonly path: Path;
  readonly provenance: Provenance;
  readonly problems: Problem[];
}

/** What of a listener decides how its connections are served. */
export type ChainEntry = Omit<ListenerEntry, 'listen' | 'app'>;

/** The canonical listener. */
export function listener(entry: ListenerEntry, context: ListenerContext): Canonical {
  const { provenance, path } = context;
  const front = {
    name: entry.name,
    address: provenance.mark([...path, 'listen'], { ...entry.listen }),
  };
  const announced = proxyProtocol(entry);
  if (entry.protocol === 'AUTO') {
    const { network, ...chains } = splitFilters(entry, context);
    const http = [...network, connectionManager(entry, { network, ...chains }, context)];
    const tcp = [...network, tcpProxy(entry, { network, ...chains }, context)];
    return provenance.mark(path, { ...front, ...detecting(entry, announced, { http, tcp }) });
  }
  for (const key of ['server_first_ports', 'race_server_first'] as const) {
    if (entry[key] !== undefined) context.problems.push(new Problem('needs protocol: auto', { path: [...path, key] }));
  }
  return provenance.mark(path, {
    ...front,
    ...(announced.length === 0 ? {} : { listener_filters: announced }),
    filter_chains: [{ filters: chainFilters(entry, context) }],
  });
}

/** The canonical filters of a chain that serves as the listener says. */
export function chainFilters(entry: ChainEntry, context: ListenerContext): NamedFilter[] {
  const chains = splitFilters(entry, context);
  const terminal =
    entry.protocol === 'TCP' ? tcpProxy(entry, chains, context) : connectionManager(entry, chains, context);
  return [...chains.network, terminal];
}

interface Chains {
  readonly network: NamedFilter[];
  readonly http: NamedFilter[];
  readonly accessLog: Canonical[];
  readonly cors: Canonical | undefined;
}

/** Network filters run before the connection manager, HTTP filters in it, each in the order of the file. */
function splitFilters(entry: ChainEntry, context: ListenerContext): Chains {
  const { provenance, path } = context;
  const network: NamedFilter[] = [];
  const http: NamedFilter[] = [];
  const log =
    entry.access_log === undefined
      ? []
      : accessLogs(entry.access_log).map((made) => provenance.mark([...path, 'access_log'], made));
  let cors: Canonical | undefined;
  const countByName = new Map<string, number>();
  for (const [index, filter] of entry.filters.entries()) {
    const at = [...path, 'filters', index];
    if (filter.kind === 'access_log') {
      log.push(...accessLogs(filter.value as never).map((made) => provenance.mark([...at, 'access_log'], made)));
      continue;
    }
    const made = expandFilter(filter);
    // With AUTO, whoever does not speak HTTP would pass it by.
    if (made.layer === 'http' && (entry.protocol === 'TCP' || entry.protocol === 'AUTO')) {
      const allowed = 'network_rbac, connection_limit, network_module, or protocol: http';
      context.problems.push(new Problem('needs HTTP', { path: [...at, keyOf(filter)], allowed }));
      continue;
    }
    if (filter.kind === 'cors') {
      if (cors !== undefined) context.problems.push(new Problem('is given twice', { path: [...at, 'cors'] }));
      const policy = 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy';
      cors = provenance.mark([...at, 'cors'], { '@type': policy, ...corsPolicy(filter.value as never) });
    }
    const place = [...at, keyOf(filter)];
    provenance.mark(place, made.filter.typed_config);
    (made.layer === 'http' ? http : network).push(provenance.mark(place, uniquelyNamed(made.filter, countByName)));
  }
  return { network, http, accessLog: log, cors };
}

function keyOf(filter: FilterEntry): string {
  return filter.kind === 'canonical' ? 'typed_config' : filter.kind;
}

/** The second filter of a name is called `name.2`, so that statistics and timings can tell them apart. */
function uniquelyNamed(filter: NamedFilter, countByName: Map<string, number>): NamedFilter {
  const count = (countByName.get(filter.name) ?? 0) + 1;
  countByName.set(filter.name, count);
  return count === 1 ? filter : { ...filter, name: `${filter.name}.${count}` };
}

function tcpProxy(entry: ChainEntry, chains: Chains, context: ListenerContext): NamedFilter {
  for (const key of ['routes', 'timeout', 'retries'] as const) {
    if (entry[key] !== undefined && entry.protocol === 'TCP')
      context.problems.push(new Problem('needs protocol: http', { path: [...context.path, key] }));
  }
  if (context.appCluster === undefined) {
    context.problems.push(
      new Problem(`is required with protocol: ${entry.protocol.toLowerCase()}`, { path: [...context.path, 'app'] }),
    );
  }
  return typed('envoy.filters.network.tcp_proxy', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
    stat_prefix: entry.name,
    cluster: context.appCluster ?? '',
    ...(entry.idle_timeout === undefined ? {} : { idle_timeout: entry.idle_timeout }),
    ...(chains.accessLog.length === 0 ? {} : { access_log: chains.accessLog }),
  });
}

function connectionManager(entry: ChainEntry, chains: Chains, context: ListenerContext): NamedFilter {
  if (context.appCluster === undefined && entry.routes === undefined) {
    context.problems.push(new Problem('is required, or routes', { path: [...context.path, 'app'] }));
  }
  const manager = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  return typed('envoy.filters.network.http_connection_manager', manager, {
    stat_prefix: entry.name,
    ...(entry.protocol === 'HTTP1' || entry.protocol === 'HTTP2' ? { codec_type: entry.protocol } : {}),
    ...httpOptions(entry.http, entry.idle_timeout),
    ...escapedSlashes(entry),
    ...(chains.accessLog.length === 0 ? {} : { access_log: chains.accessLog }),
    route_config: routeConfig(entry, chains.cors, context),
    http_filters: [
      ...chains.http,
      typed('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', {}),
    ],
  });
}

function routeConfig(entry: ChainEntry, cors: Canonical | undefined, context: ListenerContext): Canonical {
  const { provenance, path } = context;
  const defaults = { timeout: entry.timeout, retries: entry.retries, isGrpc: entry.protocol === 'GRPC' };
  const made = routes(entry.routes ?? [], context.appCluster, defaults, provenance, [...path, 'routes']);
  return {
    name: entry.name,
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: made,
        ...(cors === undefined ? {} : { typed_per_filter_config: { 'envoy.filters.http.cors': cors } }),
      },
    ],
  };
}

const ESCAPED_SLASHES = {
  KEEP: 'KEEP_UNCHANGED',
  REJECT: 'REJECT_REQUEST',
  REDIRECT: 'UNESCAPE_AND_REDIRECT',
  UNESCAPE: 'UNESCAPE_AND_FORWARD',
} as const;

/** An app may read `/public/..%2fadmin` as `/admin`: where a policy looks at paths, it must not see another one. */
function escapedSlashes(entry: ChainEntry): Canonical {
  const choice = entry.http.escaped_slashes ?? (entry.filters.some(decidesByPath) ? 'REJECT' : undefined);
  return choice === undefined ? {} : { path_with_escaped_slashes_action: ESCAPED_SLASHES[choice] };
}

function decidesByPath({ kind, value }: FilterEntry): boolean {
  if (kind === 'jwt') return ((value as { public?: readonly unknown[] }).public ?? []).length > 0;
  if (kind !== 'rbac') return false;
  const { allow = [], deny = [] } = value as Partial<Record<'allow' | 'deny', readonly { paths?: unknown }[]>>;
  return [...allow, ...deny].some(({ paths }) => paths !== undefined);
}

function httpOptions(http: HttpOptions, idleTimeout: string | undefined): Canonical {
  const http1 = {
    ...(http.accept_http_10 ? { accept_http_10: true } : {}),
    ...(http.keep_header_case ? { header_key_format: KEEP_CASE } : {}),
  };
  const streams = http.max_concurrent_streams;
  const http2 = {
    ...(streams === undefined ? {} : { max_concurrent_streams: streams }),
    ...(http.websocket ? { allow_connect: true } : {}),
    ...(http.keepalive === undefined ? {} : { connection_keepalive: { interval: http.keepalive, timeout: '20s' } }),
  };
  const fields = [
    'server_name',
    'max_request_headers_kb',
    'stream_idle_timeout',
    'request_timeout',
    'request_headers_timeout',
  ] as const;
  return {
    ...(Object.keys(http1).length === 0 ? {} : { http_protocol_options: http1 }),
    ...(Object.keys(http2).length === 0 ? {} : { http2_protocol_options: http2 }),
    ...(http.use_remote_address ? { use_remote_address: true } : {}),
    ...(http.xff_num_trusted_hops === 0 ? {} : { xff_num_trusted_hops: http.xff_num_trusted_hops }),
    ...(http.request_id ? {} : { generate_request_id: false }),
    ...(http.normalize_path ? { normalize_path: true } : {}),
    ...(http.merge_slashes ? { merge_slashes: true } : {}),
    ...(http.strip_port ? { strip_any_host_port: true } : {}),
    ...(http.websocket ? { upgrade_configs: [{ upgrade_type: 'websocket' }] } : {}),
    ...(idleTimeout === undefined ? {} : { common_http_protocol_options: { idle_timeout: idleTimeout } }),
    ...Object.fromEntries(fields.filter((key) => http[key] !== undefined).map((key) => [key, http[key]])),
  };
}

export function typed(name: string, type: string, fields: Canonical): NamedFilter {
  return { name, typed_config: { '@type': `type.googleapis.com/${type}`, ...fields } };
}
