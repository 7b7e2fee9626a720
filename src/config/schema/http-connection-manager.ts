import type * as v from 'valibot';
import { AccessLog, AccessLogFilter } from './access-log.ts';
import {
  anyConfig,
  bool,
  boolValue,
  check,
  duration,
  enumOf,
  fixedBool,
  headerValue,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  uint32,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { DataSource, HeaderValueOption, SubstitutionFormatString } from './core.ts';
import { CidrRange } from './core-address.ts';
import { Http1ProtocolOptions, HttpProtocolOptions } from './http-protocol-options.ts';
import { Http2ProtocolOptions } from './http2-protocol-options.ts';
import { RouteConfiguration } from './route.ts';
import { Tracing } from './tracing.ts';

/** envoy.extensions.filters.network.http_connection_manager.v3; times in milliseconds. */

/** envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter. */
export const HttpFilter = message(
  {
    name: nonEmptyString(),
    typed_config: anyConfig('http_filter'),
    is_optional: optional(bool(), false),
    /** Off unless a route's `typed_per_filter_config` switches it on. */
    disabled: optional(bool(), false),
  },
  unsupported('filters are not discovered, write typed_config', 'config_discovery'),
);
export type HttpFilter = v.InferOutput<typeof HttpFilter>;

/** envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper. */
export const ResponseMapper = message({
  filter: AccessLogFilter,
  status_code: optional(uint32Value({ min: 200, max: 599 })),
  body: optional(DataSource),
  body_format_override: optional(SubstitutionFormatString),
  headers_to_add: optional(list(HeaderValueOption, { max: 1000 }), []),
});
export type ResponseMapper = v.InferOutput<typeof ResponseMapper>;

/** envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig. */
export const LocalReplyConfig = message({
  mappers: optional(list(ResponseMapper), []),
  body_format: optional(SubstitutionFormatString),
});
export type LocalReplyConfig = v.InferOutput<typeof LocalReplyConfig>;

/** envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig. */
export const UpgradeConfig = message(
  { upgrade_type: nonEmptyString(), enabled: optional(boolValue(), true) },
  unsupported("upgrades run through the connection manager's own filters", 'filters'),
);
export type UpgradeConfig = v.InferOutput<typeof UpgradeConfig>;

/** envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager. */
export const HttpConnectionManager = message(
  {
    codec_type: optional(enumOf(['AUTO', 'HTTP1', 'HTTP2', 'HTTP3'], { HTTP3: 'HTTP/3 is not available' }), 'AUTO'),
    stat_prefix: nonEmptyString(),
    route_config: optional(RouteConfiguration),
    http_filters: optional(list(HttpFilter), []),
    add_user_agent: optional(boolValue(), false),
    common_http_protocol_options: optional(HttpProtocolOptions, {}),
    http1_safe_max_connection_duration: optional(bool(), false),
    http_protocol_options: optional(Http1ProtocolOptions, {}),
    http2_protocol_options: optional(Http2ProtocolOptions, {}),
    server_name: optional(headerValue(), ''),
    server_header_transformation: optional(enumOf(['OVERWRITE', 'APPEND_IF_ABSENT', 'PASS_THROUGH']), 'OVERWRITE'),
    scheme_header_transformation: optional(
      message(
        {
          scheme_to_overwrite: optional(enumOf(['http', 'https'])),
          match_upstream: optional(fixedBool(false, 'name the scheme with scheme_to_overwrite'), false),
        },
        oneof(['scheme_to_overwrite']),
      ),
    ),
    /** KiB; 60 unless given. */
    max_request_headers_kb: optional(uint32Value({ min: 1, max: 8192 }), 60),
    stream_idle_timeout: optional(duration(), '300s'),
    request_timeout: optional(duration(), '0s'),
    request_headers_timeout: optional(duration(), '0s'),
    drain_timeout: optional(duration(), '5s'),
    delayed_close_timeout: optional(duration(), '1s'),
    access_log: optional(list(AccessLog), []),
    tracing: optional(Tracing),
    use_remote_address: optional(boolValue(), false),
    xff_num_trusted_hops: optional(uint32(), 0),
    internal_address_config: optional(
      message({ unix_sockets: optional(bool(), false), cidr_ranges: optional(list(CidrRange), []) }),
    ),
    skip_xff_append: optional(bool(), false),
    via: optional(headerValue(), ''),
    generate_request_id: optional(boolValue(), true),
    preserve_external_request_id: optional(bool(), false),
    always_set_request_id_in_response: optional(bool(), false),
    request_id_extension: optional(message({ typed_config: anyConfig('request_id') })),
    forward_client_cert_details: optional(
      enumOf(['SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY']),
      'SANITIZE',
    ),
    set_current_client_cert_details: optional(
      message({
        subject: optional(boolValue(), false),
        cert: optional(bool(), false),
        chain: optional(bool(), false),
        dns: optional(bool(), false),
        uri: optional(bool(), false),
      }),
    ),
    proxy_100_continue: optional(bool(), false),
    represent_ipv4_remote_address_as_ipv4_mapped_ipv6: optional(
      fixedBool(false, 'addresses are written as they are'),
      false,
    ),
    upgrade_configs: optional(list(UpgradeConfig), []),
    normalize_path: optional(boolValue(), false),
    merge_slashes: optional(bool(), false),
    path_with_escaped_slashes_action: optional(
      enumOf([
        'IMPLEMENTATION_SPECIFIC_DEFAULT',
        'KEEP_UNCHANGED',
        'REJECT_REQUEST',
        'UNESCAPE_AND_REDIRECT',
        'UNESCAPE_AND_FORWARD',
      ]),
      'IMPLEMENTATION_SPECIFIC_DEFAULT',
    ),
    local_reply_config: optional(LocalReplyConfig),
    strip_matching_host_port: optional(bool(), false),
    strip_any_host_port: optional(bool(), false),
    strip_trailing_host_dot: optional(bool(), false),
    stream_error_on_invalid_http_message: optional(
      fixedBool(false, 'a connection ends with the first invalid message'),
      false,
    ),
    append_x_forwarded_port: optional(bool(), false),
  },
  oneof(['rds', 'route_config', 'scoped_routes'], { required: true }),
  unsupported('routes are not discovered yet, write route_config', 'rds', 'scoped_routes'),
  unsupported('HTTP/3 is not available', 'http3_protocol_options'),
  unsupported(
    'a request is logged once, at its end',
    'access_log_options',
    'access_log_flush_interval',
    'flush_access_log_on_new_request',
  ),
  unsupported('use use_remote_address and xff_num_trusted_hops', 'original_ip_detection_extensions'),
  unsupported('use the header mutation filter', 'early_header_mutation_extensions'),
  unsupported('use normalize_path, merge_slashes and path_with_escaped_slashes_action', 'path_normalization_options'),
  unsupported('the PROXY protocol is not available yet', 'add_proxy_protocol_connection_state'),
  unsupported(
    'it is not available',
    'proxy_status_config',
    'typed_header_validation_config',
    'append_local_overload',
    'stream_flush_timeout',
    'forward_client_cert_matcher',
    'forward_proto_config',
  ),
  check((manager) =>
    manager.strip_matching_host_port && manager.strip_any_host_port
      ? new Problem('cannot be given together with "strip_matching_host_port"', { path: ['strip_any_host_port'] })
      : undefined,
  ),
  check(uniqueUpgrades),
);
export type HttpConnectionManager = v.InferOutput<typeof HttpConnectionManager>;

/** Upgrade types are compared without case, each at most once. */
function uniqueUpgrades(manager: { upgrade_configs: UpgradeConfig[] }): Problem | undefined {
  const seen = new Set<string>();
  for (const [index, { upgrade_type: type }] of manager.upgrade_configs.entries()) {
    const key = type.toLowerCase();
    if (seen.has(key))
      return new Problem(`the upgrade "${type}" is listed twice`, { path: ['upgrade_configs', index] });
    seen.add(key);
  }
  return undefined;
}

/** envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig. */
export const UuidRequestIdConfig = message({
  pack_trace_reason: optional(boolValue(), true),
  use_request_id_for_trace_sampling: optional(boolValue(), true),
});
export type UuidRequestIdConfig = v.InferOutput<typeof UuidRequestIdConfig>;
