import type * as v from 'valibot';
import {
  anyConfig,
  bool,
  boolValue,
  check,
  duration,
  enumOf,
  headerName,
  headerValue,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { HeaderValue } from './core.ts';
import { formatProblem } from './format-text.ts';
import { FractionalPercent, Percent } from './percent.ts';

/** envoy.type.tracing.v3, envoy.config.trace.v3, and what connection managers and routes say of tracing. */

const MetadataTag = message({
  kind: message(
    {
      request: optional(message({})),
      route: optional(message({})),
      cluster: optional(message({})),
      host: optional(message({})),
    },
    oneof(['request', 'route', 'cluster', 'host'], { required: true }),
    unsupported('metadata of clusters and endpoints is not kept for tags, use request or route', 'cluster', 'host'),
  ),
  metadata_key: message({
    key: nonEmptyString(),
    path: list(message({ key: nonEmptyString() }), { min: 1 }),
  }),
  default_value: optional(string(), ''),
});

/** envoy.type.tracing.v3.CustomTag: a tag that every span gets, from exactly one source. A tag without a value is left out. */
export const CustomTag = message(
  {
    tag: nonEmptyString(),
    literal: optional(message({ value: nonEmptyString() })),
    environment: optional(message({ name: nonEmptyString(), default_value: optional(string(), '') })),
    request_header: optional(message({ name: headerName(), default_value: optional(string(), '') })),
    metadata: optional(MetadataTag),
    value: optional(string()),
  },
  oneof(['literal', 'environment', 'request_header', 'metadata', 'value'], { required: true }),
  check((tag) => formatProblem(tag.value, ['value'])),
);
export type CustomTag = v.InferOutput<typeof CustomTag>;

/** envoy.config.core.v3.HttpUri: where a request of the proxy's own goes. */
const HttpUri = message({
  uri: string({ pattern: /^https?:\/\/[^/?#\s]+[^\s]*$/, allowed: 'such as http://collector:4318/v1/traces' }),
  cluster: nonEmptyString(),
  timeout: duration({ maxMs: 4294967295999 }),
});

const CollectorHttpService = message(
  {
    http_uri: HttpUri,
    request_headers_to_add: optional(
      list(
        message(
          { header: HeaderValue },
          unsupported('the headers are added', 'append', 'append_action', 'keep_empty_value'),
        ),
        { max: 1000 },
      ),
      [],
    ),
  },
  unsupported('it is not available', 'formatters'),
);

const CollectorGrpcService = message(
  {
    envoy_grpc: message(
      { cluster_name: nonEmptyString(), authority: optional(headerValue(), '') },
      unsupported(
        'a span that does not get through is sent again with the next ones',
        'retry_policy',
        'max_receive_message_length',
        'skip_envoy_headers',
      ),
    ),
    timeout: optional(duration()),
    initial_metadata: optional(list(HeaderValue), []),
  },
  unsupported('use envoy_grpc', 'google_grpc'),
  unsupported('a span that does not get through is sent again with the next ones', 'retry_policy'),
);

/** envoy.config.trace.v3.OpenTelemetryConfig: OTLP over gRPC or HTTP, W3C trace context. */
export const OpenTelemetryConfig = message(
  {
    grpc_service: optional(CollectorGrpcService),
    http_service: optional(CollectorHttpService),
    /** Reported as service.name. */
    service_name: optional(string(), ''),
    resource_detectors: optional(
      list(message({ name: nonEmptyString(), typed_config: anyConfig('resource_detector') })),
      [],
    ),
    sampler: optional(message({ name: nonEmptyString(), typed_config: anyConfig('tracing_sampler') })),
    max_cache_size: optional(uint32Value({ min: 1, max: 65536 }), 1024),
  },
  oneof(['grpc_service', 'http_service', 'custom_exporter'], { required: true }),
  unsupported('spans leave by grpc_service or http_service', 'custom_exporter'),
);
export type OpenTelemetryConfig = v.InferOutput<typeof OpenTelemetryConfig>;

/** envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig: OTEL_RESOURCE_ATTRIBUTES. */
export const EnvironmentResourceDetector = message({});

/** envoy.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig. */
export const StaticResourceDetector = message({
  attributes: optional(mapOf(string({ minLength: 1, maxLength: 128 })), {}),
});
export type StaticResourceDetector = v.InferOutput<typeof StaticResourceDetector>;

/** envoy.extensions.tracers.opentelemetry.samplers.v3.AlwaysOnSamplerConfig. */
export const AlwaysOnSampler = message({});

/** envoy.config.trace.v3.ZipkinConfig: JSON to a Zipkin collector, B3 trace context. */
export const ZipkinConfig = message(
  {
    collector_cluster: optional(nonEmptyString()),
    collector_endpoint: optional(nonEmptyString()),
    collector_hostname: optional(headerValue(), ''),
    collector_endpoint_version: optional(
      enumOf(['DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE', 'HTTP_JSON', 'HTTP_PROTO', 'GRPC'], {
        DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE: 'use HTTP_JSON',
        HTTP_PROTO: 'use HTTP_JSON',
        GRPC: 'use HTTP_JSON',
      }),
      'HTTP_JSON',
    ),
    trace_id_128bit: optional(bool(), false),
    /** Whether a server's span has the id of the client's that called it. */
    shared_span_context: optional(boolValue(), true),
    trace_context_option: optional(enumOf(['USE_B3', 'USE_B3_WITH_W3C_PROPAGATION']), 'USE_B3'),
  },
  unsupported('use spawn_upstream_span of the connection manager', 'split_spans_for_request'),
  unsupported('use collector_cluster and collector_endpoint', 'collector_service'),
  check((zipkin) => {
    for (const field of ['collector_cluster', 'collector_endpoint'] as const)
      if (zipkin[field] === undefined) return new Problem('is required', { path: [field] });
    return undefined;
  }),
);
export type ZipkinConfig = v.InferOutput<typeof ZipkinConfig>;

/** envoy.config.trace.v3.Tracing.Http. */
export const TracingProvider = message({ name: nonEmptyString(), typed_config: anyConfig('tracer') });
export type TracingProvider = v.InferOutput<typeof TracingProvider>;

/** HttpConnectionManager.Tracing; the shares are percentages of requests. */
export const Tracing = message(
  {
    /** Of the requests with x-client-trace-id. */
    client_sampling: optional(Percent, { value: 100 }),
    /** Of the requests that nobody asked to trace. */
    random_sampling: optional(Percent, { value: 100 }),
    /** Of all that would be traced after these two. */
    overall_sampling: optional(Percent, { value: 100 }),
    verbose: optional(bool(), false),
    max_path_tag_length: optional(uint32Value(), 256),
    custom_tags: optional(list(CustomTag), []),
    provider: optional(TracingProvider),
    spawn_upstream_span: optional(boolValue()),
    operation: optional(string(), ''),
    upstream_operation: optional(string(), ''),
    no_context_propagation: optional(bool(), false),
  },
  check(
    (tracing) =>
      formatProblem(tracing.operation, ['operation']) ??
      formatProblem(tracing.upstream_operation, ['upstream_operation']),
  ),
);
export type Tracing = v.InferOutput<typeof Tracing>;

/** envoy.config.route.v3.Tracing: takes the place of the connection manager's shares and adds tags. */
export const RouteTracing = message(
  {
    client_sampling: optional(FractionalPercent, { numerator: 100 }),
    random_sampling: optional(FractionalPercent, { numerator: 100 }),
    overall_sampling: optional(FractionalPercent, { numerator: 100 }),
    custom_tags: optional(list(CustomTag), []),
    operation: optional(string(), ''),
    upstream_operation: optional(string(), ''),
  },
  check(
    (tracing) =>
      formatProblem(tracing.operation, ['operation']) ??
      formatProblem(tracing.upstream_operation, ['upstream_operation']),
  ),
);
export type RouteTracing = v.InferOutput<typeof RouteTracing>;

/** envoy.config.route.v3.Decorator: what spans of the route are called. */
export const Decorator = message({ operation: nonEmptyString(), propagate: optional(boolValue(), true) });
export type Decorator = v.InferOutput<typeof Decorator>;
