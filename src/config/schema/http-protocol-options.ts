import type * as v from 'valibot';
import {
  anyConfig,
  bool,
  boolValue,
  check,
  duration,
  enumOf,
  fixedBool,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { Http2ProtocolOptions } from './http2-protocol-options.ts';

/** envoy.config.core.v3 protocol options, for both sides of the proxy. */

/** envoy.config.core.v3.TypedExtensionConfig at an extension point. */
export function typedExtension(category: Parameters<typeof anyConfig>[0]) {
  return message({ name: nonEmptyString(), typed_config: anyConfig(category) });
}

/** envoy.config.core.v3.HttpProtocolOptions; times in milliseconds, 0 switches a limit off. */
export const HttpProtocolOptions = message({
  idle_timeout: optional(duration(), '3600s'),
  max_connection_duration: optional(duration()),
  max_headers_count: optional(uint32Value({ min: 1 }), 100),
  max_response_headers_kb: optional(uint32Value({ min: 1, max: 8192 })),
  max_stream_duration: optional(duration()),
  headers_with_underscores_action: optional(enumOf(['ALLOW', 'REJECT_REQUEST', 'DROP_HEADER']), 'ALLOW'),
  max_requests_per_connection: optional(uint32Value()),
});
export type HttpProtocolOptions = v.InferOutput<typeof HttpProtocolOptions>;

const HeaderKeyFormat = message(
  {
    proper_case_words: optional(message({})),
    stateful_formatter: optional(typedExtension('header_formatter')),
  },
  oneof(['proper_case_words', 'stateful_formatter'], { required: true }),
);

/** envoy.config.core.v3.Http1ProtocolOptions. */
export const Http1ProtocolOptions = message(
  {
    allow_absolute_url: optional(boolValue(), true),
    accept_http_10: optional(bool(), false),
    default_host_for_http_10: optional(string(), ''),
    header_key_format: optional(HeaderKeyFormat),
    enable_trailers: optional(bool(), false),
    allow_chunked_length: optional(fixedBool(false, 'a length beside chunks is how requests are smuggled'), false),
    override_stream_error_on_invalid_http_message: optional(
      fixedBool(false, 'a connection ends with the first invalid message'),
    ),
    send_fully_qualified_url: optional(fixedBool(false, 'requests go out with a path'), false),
  },
  unsupported('the parser is llhttp', 'use_balsa_parser', 'allow_custom_methods'),
  unsupported('name the upgrades that are allowed with upgrade_configs', 'ignore_http_11_upgrade'),
);
export type Http1ProtocolOptions = v.InferOutput<typeof Http1ProtocolOptions>;

/** envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig. */
export const PreserveCaseFormatterConfig = message({
  forward_reason_phrase: optional(fixedBool(false, 'reason phrases are the standard ones'), false),
  formatter_type_on_envoy_headers: optional(
    enumOf(['DEFAULT', 'PROPER_CASE'], { PROPER_CASE: 'headers that the proxy adds are in lower case' }),
    'DEFAULT',
  ),
});
export type PreserveCaseFormatterConfig = v.InferOutput<typeof PreserveCaseFormatterConfig>;

/** A problem when a cluster limits what only routes and listeners do. */
export function upstreamOptionsProblem(
  options: HttpProtocolOptions | undefined,
  path: readonly string[],
): Problem | undefined {
  if (options?.max_stream_duration === undefined) return undefined;
  return new Problem('is not supported: clusters do not limit it, routes and listeners do', {
    path: [...path, 'max_stream_duration'],
  });
}

const EitherProtocol = {
  http_protocol_options: optional(Http1ProtocolOptions),
  http2_protocol_options: optional(Http2ProtocolOptions),
} as const;
const noHttp3 = unsupported('HTTP/3 is not available', 'http3_protocol_options');

/** envoy.extensions.upstreams.http.v3.HttpProtocolOptions: how a cluster speaks HTTP. */
export const UpstreamHttpProtocolOptions = message(
  {
    common_http_protocol_options: optional(HttpProtocolOptions, {}),
    /** One protocol only. */
    explicit_http_config: optional(
      message(
        EitherProtocol,
        oneof(['http_protocol_options', 'http2_protocol_options', 'http3_protocol_options'], { required: true }),
        noHttp3,
      ),
    ),
    /** The protocol that the client speaks. */
    use_downstream_protocol_config: optional(message(EitherProtocol, noHttp3)),
    /** The protocol that the upstream chooses through ALPN, HTTP/1.1 without an answer. */
    auto_config: optional(
      message(EitherProtocol, noHttp3, unsupported('HTTP/3 is not available', 'alternate_protocols_cache_options')),
    ),
  },
  oneof(['explicit_http_config', 'use_downstream_protocol_config', 'auto_config'], { required: true }),
  unsupported('it belongs to TLS', 'upstream_http_protocol_options'),
  unsupported('upstream filters are not available', 'http_filters', 'header_validation_config'),
  unsupported('configure it at the route', 'request_mirror_policies', 'hash_policy', 'retry_policy'),
  unsupported('outlier detection is not available yet', 'outlier_detection'),
  check((options) => upstreamOptionsProblem(options.common_http_protocol_options, ['common_http_protocol_options'])),
);
export type UpstreamHttpProtocolOptions = v.InferOutput<typeof UpstreamHttpProtocolOptions>;
