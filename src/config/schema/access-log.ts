import * as v from 'valibot';
import { RESPONSE_FLAGS } from '../../http/response-flags.ts';
import {
  anyConfig,
  bool,
  check,
  enumOf,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  type Schema,
  string,
  struct,
  unsupported,
} from './building-blocks.ts';
import { SubstitutionFormatString } from './core.ts';
import { formatProblem, jsonFormatProblem } from './format-text.ts';
import { MetadataMatcher } from './matcher.ts';
import { FractionalPercent, RuntimeUInt32 } from './percent.ts';
import { HeaderMatcher } from './route-matchers.ts';

/** envoy.config.accesslog.v3 and the file and stream loggers of envoy.extensions.access_loggers. */

/** envoy.config.accesslog.v3.ComparisonFilter. */
export const ComparisonFilter = message({
  op: optional(enumOf(['EQ', 'GE', 'LE', 'NE']), 'EQ'),
  value: RuntimeUInt32,
});
export type ComparisonFilter = v.InferOutput<typeof ComparisonFilter>;

/** envoy.config.accesslog.v3.AccessLogFilter: exactly one of its fields. */
export interface AccessLogFilter {
  status_code_filter?: { comparison: ComparisonFilter } | undefined;
  duration_filter?: { comparison: ComparisonFilter } | undefined;
  not_health_check_filter?: Record<string, never> | undefined;
  traceable_filter?: Record<string, never> | undefined;
  runtime_filter?: RuntimeFilter | undefined;
  and_filter?: { filters: AccessLogFilter[] } | undefined;
  or_filter?: { filters: AccessLogFilter[] } | undefined;
  header_filter?: { header: HeaderMatcher } | undefined;
  response_flag_filter?: { flags: string[] } | undefined;
  grpc_status_filter?: GrpcStatusFilter | undefined;
  metadata_filter?: MetadataFilter | undefined;
  log_type_filter?: LogTypeFilter | undefined;
}

const RuntimeFilter = message({
  runtime_key: nonEmptyString(),
  percent_sampled: optional(FractionalPercent),
  use_independent_randomness: optional(bool(), false),
});
export type RuntimeFilter = v.InferOutput<typeof RuntimeFilter>;

const GrpcStatusFilter = message({
  statuses: optional(
    list(
      enumOf([
        'OK',
        'CANCELED',
        'UNKNOWN',
        'INVALID_ARGUMENT',
        'DEADLINE_EXCEEDED',
        'NOT_FOUND',
        'ALREADY_EXISTS',
        'PERMISSION_DENIED',
        'RESOURCE_EXHAUSTED',
        'FAILED_PRECONDITION',
        'ABORTED',
        'OUT_OF_RANGE',
        'UNIMPLEMENTED',
        'INTERNAL',
        'UNAVAILABLE',
        'DATA_LOSS',
        'UNAUTHENTICATED',
      ]),
    ),
    [],
  ),
  exclude: optional(bool(), false),
});
type GrpcStatusFilter = v.InferOutput<typeof GrpcStatusFilter>;

const MetadataFilter = message({ matcher: optional(MetadataMatcher), match_if_key_not_found: optional(bool(), true) });
type MetadataFilter = v.InferOutput<typeof MetadataFilter>;

/** envoy.data.accesslog.v3.AccessLogType. */
const LOG_TYPES = [
  'NotSet',
  'TcpUpstreamConnected',
  'TcpPeriodic',
  'TcpConnectionEnd',
  'DownstreamStart',
  'DownstreamPeriodic',
  'DownstreamEnd',
  'UpstreamPoolReady',
  'UpstreamPeriodic',
  'UpstreamEnd',
  'DownstreamTunnelSuccessfullyEstablished',
  'UdpTunnelUpstreamConnected',
  'UdpPeriodic',
  'UdpSessionEnd',
];

const LogTypeFilter = message({ types: optional(list(enumOf(LOG_TYPES)), []), exclude: optional(bool(), false) });
type LogTypeFilter = v.InferOutput<typeof LogTypeFilter>;

const FILTER_KINDS = [
  'status_code_filter',
  'duration_filter',
  'not_health_check_filter',
  'traceable_filter',
  'runtime_filter',
  'and_filter',
  'or_filter',
  'header_filter',
  'response_flag_filter',
  'grpc_status_filter',
  'metadata_filter',
  'extension_filter',
  'log_type_filter',
];

const accessLogFilter: Schema<AccessLogFilter> = v.lazy(() => AccessLogFilter);
const FilterList = message({ filters: list(accessLogFilter, { min: 2 }) });

export const AccessLogFilter: Schema<AccessLogFilter> = message(
  {
    status_code_filter: optional(message({ comparison: ComparisonFilter })),
    duration_filter: optional(message({ comparison: ComparisonFilter })),
    not_health_check_filter: optional(message({})),
    traceable_filter: optional(message({})),
    runtime_filter: optional(RuntimeFilter),
    and_filter: optional(FilterList),
    or_filter: optional(FilterList),
    header_filter: optional(message({ header: HeaderMatcher })),
    response_flag_filter: optional(message({ flags: optional(list(enumOf(RESPONSE_FLAGS)), []) })),
    grpc_status_filter: optional(GrpcStatusFilter),
    metadata_filter: optional(MetadataFilter),
    log_type_filter: optional(LogTypeFilter),
  },
  oneof(FILTER_KINDS, { required: true }),
  unsupported('filter extensions are not available', 'extension_filter'),
);

/** envoy.config.accesslog.v3.AccessLog. */
export const AccessLog = message({
  name: optional(string(), ''),
  filter: optional(AccessLogFilter),
  typed_config: anyConfig('access_logger'),
});
export type AccessLog = v.InferOutput<typeof AccessLog>;

/** envoy.extensions.access_loggers.file.v3.FileAccessLog. */
export const FileAccessLog = message(
  {
    path: nonEmptyString(),
    format: optional(string()),
    json_format: optional(struct()),
    typed_json_format: optional(struct()),
    log_format: optional(SubstitutionFormatString),
  },
  oneof(['format', 'json_format', 'typed_json_format', 'log_format']),
  check(
    (log) =>
      formatProblem(log.format, ['format']) ??
      jsonFormatProblem(log.json_format, ['json_format']) ??
      jsonFormatProblem(log.typed_json_format, ['typed_json_format']),
  ),
);
export type FileAccessLog = v.InferOutput<typeof FileAccessLog>;

/** envoy.extensions.access_loggers.stream.v3.StdoutAccessLog and StderrAccessLog. */
export const StreamAccessLog = message({ log_format: optional(SubstitutionFormatString) });
export type StreamAccessLog = v.InferOutput<typeof StreamAccessLog>;
