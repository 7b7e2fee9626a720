import type * as v from 'valibot';
import { enumOf, list, message, optional, uint32 } from '../schema/building-blocks.ts';
import { address, type CanonicalAddress, either, isHostName, isRecord, oneOrMany, span } from './units.ts';

/** Where requests go: the application, or another service. */

const Endpoint = either(
  message({
    address: address(),
    weight: optional(uint32({ min: 1 }), 1),
    /** Lower is tried first. */
    priority: optional(uint32({ max: 128 }), 0),
  }),
  address(),
  (target) => ({ address: target, weight: 1, priority: 0 }),
  isRecord,
);
type Endpoint = v.InferOutput<typeof Endpoint>;

const Options = message({
  address: oneOrMany<Endpoint>(Endpoint, list(Endpoint, { min: 1 })),
  balancer: optional(enumOf(['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'RING_HASH', 'MAGLEV']), 'ROUND_ROBIN'),
  /** What the upstream speaks; AUTO is what the client speaks. */
  protocol: optional(enumOf(['HTTP1', 'HTTP2', 'AUTO'])),
  connect_timeout: optional(span(), '5s'),
  /** Connections begin with a PROXY protocol header of this version. */
  proxy_protocol: optional(enumOf(['V1', 'V2'])),
  idle_timeout: optional(span()),
  max_connections: optional(uint32()),
  max_pending_requests: optional(uint32()),
  max_requests: optional(uint32()),
  max_retries: optional(uint32()),
});

const isOptions = (value: unknown) =>
  isRecord(value) && !('weight' in (value as object)) && !('priority' in (value as object));

/** `127.0.0.1:8080`, a list of addresses, or a map with options. */
export const Upstream = either(
  Options,
  oneOrMany<Endpoint>(Endpoint, list(Endpoint, { min: 1 })),
  (endpoints) => ({ address: endpoints, balancer: 'ROUND_ROBIN' as const, connect_timeout: '5s' }),
  isOptions,
);
export type Upstream = v.InferOutput<typeof Upstream>;

const PRESERVE_CASE = {
  name: 'preserve_case',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig',
  },
};

/** `header_key_format` that keeps the case of header names. */
export const KEEP_CASE = { stateful_formatter: PRESERVE_CASE };

const LIMITS = ['max_connections', 'max_pending_requests', 'max_requests', 'max_retries'] as const;

/** How the listeners before an upstream speak HTTP. */
export interface UpstreamHttp {
  readonly keepCase: boolean;
  /** Without `protocol` at the upstream, HTTP/2. */
  readonly isHttp2: boolean;
  /** WebSockets pass. */
  readonly upgrades: boolean;
}

/** The canonical cluster. Names are resolved as often as their DNS records say. */
export function cluster(name: string, upstream: Upstream, http: UpstreamHttp | undefined): Record<string, unknown> {
  const usesNames = upstream.address.some((endpoint) => isHostName(endpoint.address));
  const limits = LIMITS.filter((limit) => upstream[limit] !== undefined).map((limit) => [limit, upstream[limit]]);
  return {
    name,
    type: usesNames ? 'STRICT_DNS' : 'STATIC',
    ...(usesNames ? { respect_dns_ttl: true } : {}),
    connect_timeout: upstream.connect_timeout,
    lb_policy: upstream.balancer,
    ...(limits.length === 0 ? {} : { circuit_breakers: { thresholds: [Object.fromEntries(limits)] } }),
    ...(http === undefined ? {} : protocolOptions(upstream, http)),
    ...(upstream.proxy_protocol === undefined ? {} : announced(upstream.proxy_protocol)),
    load_assignment: { cluster_name: name, endpoints: localities(upstream.address) },
  };
}

/** The transport socket that begins with a header. */
function announced(version: 'V1' | 'V2'): Record<string, unknown> {
  const sockets = 'type.googleapis.com/envoy.extensions.transport_sockets';
  return {
    transport_socket: {
      name: 'envoy.transport_sockets.upstream_proxy_protocol',
      typed_config: {
        '@type': `${sockets}.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
        config: { version },
        transport_socket: {
          name: 'envoy.transport_sockets.raw_buffer',
          typed_config: { '@type': `${sockets}.raw_buffer.v3.RawBuffer` },
        },
      },
    },
  };
}

function protocolOptions(upstream: Upstream, http: UpstreamHttp): Record<string, unknown> {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const protocol = upstream.protocol ?? (http.isHttp2 ? 'HTTP2' : 'HTTP1');
  if (protocol === 'HTTP1' && !http.keepCase && upstream.idle_timeout === undefined) return {};
  const common =
    upstream.idle_timeout === undefined
      ? {}
      : { common_http_protocol_options: { idle_timeout: upstream.idle_timeout } };
  const http1 = { http_protocol_options: http.keepCase ? { header_key_format: KEEP_CASE } : {} };
  const http2 = { http2_protocol_options: http.upgrades ? { allow_connect: true } : {} };
  const chosen =
    protocol === 'AUTO'
      ? { use_downstream_protocol_config: { ...http1, ...http2 } }
      : { explicit_http_config: protocol === 'HTTP2' ? http2 : http1 };
  return {
    typed_extension_protocol_options: {
      [type]: { '@type': `type.googleapis.com/${type}`, ...common, ...chosen },
    },
  };
}

function localities(endpoints: readonly { address: CanonicalAddress; weight: number; priority: number }[]): unknown[] {
  const byPriority = Map.groupBy(endpoints, (endpoint) => endpoint.priority);
  return [...byPriority].map(([priority, members]) => ({
    ...(priority === 0 ? {} : { priority }),
    lb_endpoints: members.map(({ address, weight }) => ({
      endpoint: { address },
      ...(weight === 1 ? {} : { load_balancing_weight: weight }),
    })),
  }));
}
