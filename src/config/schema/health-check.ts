import type * as v from 'valibot';
import {
  bool,
  boolValue,
  bytes,
  check,
  duration,
  enumOf,
  headerName,
  headerValue,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32,
  uint32Value,
  uint64Value,
  unsupported,
} from './building-blocks.ts';
import { HeaderValueOption } from './core.ts';
import { Address } from './core-address.ts';
import { StringMatcher } from './matcher.ts';
import { Int64Range } from './percent.ts';
import { describe, scalar } from './schema.ts';
import { type HttpFieldsOfCluster, upstreamHttpOptions } from './upstream-http-options.ts';

/** envoy.config.core.v3.HealthCheck and envoy.config.endpoint.v3.Endpoint.HealthCheckConfig; times in milliseconds. */

/** Bytes in hexadecimal, as in `000000FF`. */
const hex = () =>
  scalar('hex', 'bytes in hexadecimal', (value) => {
    if (typeof value === 'string' && /^([0-9a-fA-F]{2})+$/.test(value)) return Buffer.from(value, 'hex');
    return new Problem(`expected bytes in hexadecimal, got ${describe(value)}`, {
      allowed: 'text in quotes, as in "000000FF"',
    });
  });

/** envoy.config.core.v3.HealthCheck.Payload. */
const Payload = message(
  { text: optional(hex()), binary: optional(bytes()) },
  oneof(['text', 'binary'], { required: true }),
);
export type Payload = v.InferOutput<typeof Payload>;

const Statuses = list(Int64Range);

/** envoy.config.core.v3.HealthCheck.HttpHealthCheck. */
export const HttpHealthCheck = message(
  {
    /** Host of the request; the cluster's name when empty. */
    host: optional(headerValue(), ''),
    path: string({ pattern: /^\/[\x21-\x7e]*$/, allowed: 'a path that begins with /' }),
    /** Body of the request. */
    send: optional(Payload),
    /** What the body must hold, in this order, whatever is between. */
    receive: optional(list(Payload), []),
    /** Bytes of the body that are searched; 0 searches all of it. */
    response_buffer_size: optional(uint64Value({ max: 16777216 }), 1024),
    request_headers_to_add: optional(list(HeaderValueOption, { max: 1000 }), []),
    request_headers_to_remove: optional(list(headerName()), []),
    /** Statuses of a healthy endpoint, `start` ≤ status < `end`; 200 alone by default. */
    expected_statuses: optional(Statuses, []),
    /** Statuses that count towards `unhealthy_threshold`; any other one makes the endpoint unhealthy at once. */
    retriable_statuses: optional(Statuses, []),
    codec_client_type: optional(
      enumOf(['HTTP1', 'HTTP2', 'HTTP3'], { HTTP3: 'endpoints are asked over HTTP1 or HTTP2' }),
      'HTTP1',
    ),
    /** Holds for `x-envoy-upstream-healthchecked-cluster` of the response, or the endpoint is another service's. */
    service_name_matcher: optional(StringMatcher),
    method: optional(
      enumOf(['METHOD_UNSPECIFIED', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'], {
        CONNECT: 'a check opens no tunnel',
      }),
      'GET',
    ),
  },
  check((http) => statusProblem(http.expected_statuses, 'expected_statuses')),
  check((http) => statusProblem(http.retriable_statuses, 'retriable_statuses')),
  check((http) => constantsOnly(http.request_headers_to_add, 'request_headers_to_add')),
  check((http) =>
    http.send !== undefined && /^(METHOD_UNSPECIFIED|GET|HEAD|DELETE|TRACE)$/.test(http.method)
      ? new Problem(`a ${http.method === 'METHOD_UNSPECIFIED' ? 'GET' : http.method} request has no body`, {
          path: ['send'],
          allowed: 'method: POST, PUT, PATCH or OPTIONS',
        })
      : undefined,
  ),
  check((http) => {
    const wanted = payloadBytes(http.receive).reduce((sum, block) => sum + block.length, 0);
    return http.response_buffer_size > 0 && wanted > http.response_buffer_size
      ? new Problem(`has ${wanted} bytes, and only ${http.response_buffer_size} are searched`, {
          path: ['receive'],
          allowed: 'a larger response_buffer_size',
        })
      : undefined;
  }),
);
export type HttpHealthCheck = v.InferOutput<typeof HttpHealthCheck>;

/** envoy.config.core.v3.HealthCheck.TcpHealthCheck. Without `receive`, a connection is enough. */
export const TcpHealthCheck = message(
  { send: optional(Payload), receive: optional(list(Payload), []) },
  unsupported('checks do not begin with a PROXY header', 'proxy_protocol_config'),
);
export type TcpHealthCheck = v.InferOutput<typeof TcpHealthCheck>;

/** envoy.config.core.v3.HealthCheck.GrpcHealthCheck: asks grpc.health.v1.Health. */
export const GrpcHealthCheck = message(
  {
    /** Which of the server's services is asked for; the server as a whole when empty. */
    service_name: optional(string(), ''),
    /** `:authority` of the call; the cluster's name when empty. */
    authority: optional(headerValue(), ''),
    initial_metadata: optional(list(HeaderValueOption, { max: 1000 }), []),
  },
  check((grpc) => constantsOnly(grpc.initial_metadata, 'initial_metadata')),
);
export type GrpcHealthCheck = v.InferOutput<typeof GrpcHealthCheck>;

const interval = () => optional(duration({ aboveMs: 0 }));

/** envoy.config.core.v3.HealthCheck. */
export const HealthCheck = message(
  {
    /** A check that is not answered for so long has failed. */
    timeout: duration({ aboveMs: 0 }),
    /** From the end of one check to the next one. */
    interval: duration({ aboveMs: 0 }),
    /** The first check waits for a random time up to this. */
    initial_jitter: optional(duration(), '0s'),
    /** Each interval is longer by a random time up to this. */
    interval_jitter: optional(duration(), '0s'),
    /** And by a random time up to this share of it. */
    interval_jitter_percent: optional(uint32(), 0),
    /** Failed checks in a row that make an endpoint unhealthy. */
    unhealthy_threshold: uint32Value(),
    /** Passed checks in a row that make it healthy again; its very first check decides alone. */
    healthy_threshold: uint32Value(),
    /** Checks of an endpoint share a connection. */
    reuse_connection: optional(boolValue(), true),
    http_health_check: optional(HttpHealthCheck),
    tcp_health_check: optional(TcpHealthCheck),
    grpc_health_check: optional(GrpcHealthCheck),
    /** In place of every interval, as long as the cluster never had a connection. */
    no_traffic_interval: optional(duration({ aboveMs: 0 }), '60s'),
    /** The same for healthy endpoints; `no_traffic_interval` by default. */
    no_traffic_healthy_interval: interval(),
    /** While an endpoint is unhealthy; `interval` by default. */
    unhealthy_interval: interval(),
    /** While failed checks have not made it unhealthy yet; `unhealthy_interval` by default. */
    unhealthy_edge_interval: interval(),
    /** While passed checks have not made it healthy yet; `interval` by default. */
    healthy_edge_interval: interval(),
    /** Protocols that the TLS handshakes of checks offer, in place of the cluster's. */
    tls_options: optional(message({ alpn_protocols: optional(list(nonEmptyString()), []) })),
    /** A file that gets a JSON object for each change of an endpoint's health. */
    event_log_path: optional(string(), ''),
    /** Writes every failed check to that file, not the first one alone. */
    always_log_health_check_failures: optional(bool(), false),
    /** Writes every passed check too. */
    always_log_health_check_success: optional(bool(), false),
  },
  oneof(['http_health_check', 'tcp_health_check', 'grpc_health_check', 'custom_health_check'], { required: true }),
  unsupported('checks are HTTP, TCP or gRPC', 'custom_health_check'),
  unsupported('use event_log_path', 'event_logger', 'event_service'),
  unsupported('give the endpoint a health_check_config', 'alt_port'),
  unsupported("checks use the cluster's transport_socket", 'transport_socket_match_criteria'),
);
export type HealthCheck = v.InferOutput<typeof HealthCheck>;

/** envoy.config.endpoint.v3.Endpoint.HealthCheckConfig: where and how one endpoint is checked. */
export const EndpointHealthCheckConfig = message({
  /** Another port than the endpoint's; 0 is the same. */
  port_value: optional(uint32({ max: 65535 }), 0),
  /** Host or authority of the checks, before what the check itself says. */
  hostname: optional(headerValue(), ''),
  /** Another address than the endpoint's. */
  address: optional(Address),
  /** The endpoint is not checked, and taken for healthy. */
  disable_active_health_check: optional(bool(), false),
});
export type EndpointHealthCheckConfig = v.InferOutput<typeof EndpointHealthCheckConfig>;

/** The bytes of payloads, in order. */
export function payloadBytes(payloads: readonly Payload[]): Buffer[] {
  return payloads.map(({ text, binary }) => text ?? binary ?? Buffer.alloc(0));
}

interface CheckedCluster extends HttpFieldsOfCluster {
  readonly name: string;
  readonly health_checks: readonly HealthCheck[];
}

/** What a cluster's checks need of the cluster around them. */
export function healthCheckProblem(cluster: CheckedCluster): Problem | undefined {
  const [config] = cluster.health_checks;
  if (config === undefined) return undefined;
  const path = ['health_checks', 0];
  if (config.grpc_health_check !== undefined && !maySpeakHttp2(cluster)) {
    return new Problem('needs a cluster that speaks HTTP/2', { path: [...path, 'grpc_health_check'] });
  }
  const host = config.http_health_check?.host ?? config.grpc_health_check?.authority;
  if (host !== '' || /^[\x21-\x7e]+$/.test(cluster.name)) return undefined;
  const field = config.http_health_check === undefined ? 'grpc_health_check' : 'http_health_check';
  return new Problem("the cluster's name cannot be the host of a request", {
    path: [...path, field],
    allowed: field === 'http_health_check' ? 'a host' : 'an authority',
  });
}

function maySpeakHttp2(cluster: CheckedCluster): boolean {
  const { protocol, http2 } = upstreamHttpOptions(cluster);
  return protocol === 'DOWNSTREAM' ? http2 !== undefined : protocol !== 'HTTP1';
}

function statusProblem(ranges: readonly { start: number; end: number }[], field: string): Problem | undefined {
  for (const [index, { start, end }] of ranges.entries()) {
    if (start >= 100 && start < end && end <= 600) continue;
    return new Problem(`from ${start} to below ${end} is no range of statuses`, {
      path: [field, index],
      allowed: '100 ≤ start < end ≤ 600',
    });
  }
  return undefined;
}

/** A check belongs to no request of which an operator could speak. */
function constantsOnly(headers: readonly HeaderValueOption[], field: string): Problem | undefined {
  for (const [index, { header }] of headers.entries()) {
    const path = [field, index, 'header'];
    if (header.value.replaceAll('%%', '').includes('%')) {
      return new Problem('operators are not available in checks', { path: [...path, 'value'], allowed: 'a constant' });
    }
    if (header.key.startsWith(':') || header.key === 'host')
      return new Problem(`${header.key} cannot be added or replaced`, { path: [...path, 'key'] });
  }
  return undefined;
}
