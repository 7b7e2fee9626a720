import type { HttpConnectionManager, UuidRequestIdConfig } from '../config/schema/http-connection-manager.ts';
import { ForwardClientCert } from './forward-client-cert.ts';
import type { HeadLimits } from './http1/head-parser.ts';

/** Spelling of header names on the wire: lower-cased, as they came, or `Proper-Case`. */
export type HeaderCase = 'lower' | 'preserve' | 'proper';

/** What a connection manager's configuration says, resolved to what the codec and the streams ask per request. Times in ms, 0 is off. */
export interface HttpSettings {
  readonly scheme: 'http' | 'https';
  /** `scheme` holds whatever x-forwarded-proto says. */
  readonly overwritesScheme: boolean;
  readonly headLimits: HeadLimits;
  readonly enableTrailers: boolean;
  readonly headerCase: HeaderCase;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly allowAbsoluteUrl: boolean;
  readonly proxy100Continue: boolean;
  readonly maxRequestsPerConnection: number;
  readonly idleTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly streamIdleTimeoutMs: number;
  readonly maxStreamDurationMs: number;
  /** Some time of streams is limited: idle, request or whole duration. */
  readonly hasStreamTimes: boolean;
  readonly maxConnectionDurationMs: number;
  /** After that time a connection ends with a response only, never while it is idle. */
  readonly endsAfterResponseOnly: boolean;
  readonly delayedCloseTimeoutMs: number;
  readonly drainTimeoutMs: number;
  /** Bytes that a body may pile up while it waits for its filters or its peer. */
  readonly bufferLimitBytes: number;
  readonly serverName: string;
  readonly serverHeader: 'OVERWRITE' | 'APPEND_IF_ABSENT' | 'PASS_THROUGH';
  readonly underscores: 'ALLOW' | 'REJECT_REQUEST' | 'DROP_HEADER';
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly via: string;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  /** A digit of ids tells proxies further on whether their request is traced; from outside that is not taken. */
  readonly packsTraceReason: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly appendXForwardedPort: boolean;
  readonly clientCert: ForwardClientCert;
  /** Requests tell who sent them: the node's cluster and id. */
  readonly addUserAgent: boolean;
  /** Clients on a Unix socket count as internal. */
  readonly unixSocketsAreInternal: boolean;
  /** Lower-case upgrade types that are allowed for every route, unless the route says otherwise. */
  readonly upgrades: ReadonlySet<string>;
}

/** Resolves the defaults that Envoy documents for unset fields. */
export function resolveSettings(config: HttpConnectionManager, bufferLimitBytes: number): HttpSettings {
  const common = config.common_http_protocol_options;
  const http1 = config.http_protocol_options;
  const format = http1.header_key_format;
  const requestIds = config.request_id_extension?.typed_config.value as UuidRequestIdConfig | undefined;
  const headerCase: HeaderCase =
    format === undefined ? 'lower' : format.proper_case_words !== undefined ? 'proper' : 'preserve';
  return {
    overwritesScheme: config.scheme_header_transformation?.scheme_to_overwrite !== undefined,
    scheme: config.scheme_header_transformation?.scheme_to_overwrite === 'https' ? 'https' : 'http',
    headLimits: {
      maxHeaderBytes: config.max_request_headers_kb * 1024,
      maxHeaderCount: common.max_headers_count,
      preserveCase: headerCase === 'preserve',
    },
    enableTrailers: http1.enable_trailers,
    headerCase,
    acceptHttp10: http1.accept_http_10,
    defaultHostForHttp10: http1.default_host_for_http_10,
    allowAbsoluteUrl: http1.allow_absolute_url,
    proxy100Continue: config.proxy_100_continue,
    maxRequestsPerConnection: common.max_requests_per_connection || Number.POSITIVE_INFINITY,
    idleTimeoutMs: common.idle_timeout,
    requestHeadersTimeoutMs: config.request_headers_timeout,
    requestTimeoutMs: config.request_timeout,
    streamIdleTimeoutMs: config.stream_idle_timeout,
    maxStreamDurationMs: common.max_stream_duration ?? 0,
    hasStreamTimes:
      config.stream_idle_timeout > 0 || config.request_timeout > 0 || (common.max_stream_duration ?? 0) > 0,
    maxConnectionDurationMs: common.max_connection_duration ?? 0,
    endsAfterResponseOnly: config.http1_safe_max_connection_duration,
    delayedCloseTimeoutMs: config.delayed_close_timeout,
    drainTimeoutMs: config.drain_timeout,
    // 0 is no limit, as in Envoy.
    bufferLimitBytes: bufferLimitBytes === 0 ? Number.POSITIVE_INFINITY : bufferLimitBytes,
    serverName: config.server_name === '' ? 'envoy' : config.server_name,
    serverHeader: config.server_header_transformation,
    underscores: common.headers_with_underscores_action,
    useRemoteAddress: config.use_remote_address,
    xffNumTrustedHops: config.xff_num_trusted_hops,
    skipXffAppend: config.skip_xff_append,
    via: config.via,
    generateRequestId: config.generate_request_id,
    preserveExternalRequestId: config.preserve_external_request_id,
    packsTraceReason: requestIds?.pack_trace_reason ?? true,
    alwaysSetRequestIdInResponse: config.always_set_request_id_in_response,
    appendXForwardedPort: config.append_x_forwarded_port,
    clientCert: new ForwardClientCert(config),
    addUserAgent: config.add_user_agent,
    unixSocketsAreInternal: config.internal_address_config?.unix_sockets ?? false,
    upgrades: new Set(
      config.upgrade_configs.filter((upgrade) => upgrade.enabled).map((upgrade) => upgrade.upgrade_type.toLowerCase()),
    ),
  };
}
