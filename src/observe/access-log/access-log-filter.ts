import type { AccessLogFilter, ComparisonFilter } from '../../config/schema/access-log.ts';
import { grpcStatusNumber } from '../../http/grpc/status.ts';
import { HeaderMap } from '../../http/headers.ts';
import type { ResponseFlag } from '../../http/response-flags.ts';
import { FLAG } from '../../http/response-flags.ts';
import { compileHeaderMatcher } from '../../matching/header-matcher.ts';
import { compileMetadataMatcher } from '../../matching/value-matcher.ts';
import { sentGrpcStatusOf } from '../format/grpc-status.ts';
import { logTypeOf } from '../format/stream-operators.ts';
import type { StreamInfo } from '../stream-info.ts';
import { compileSampling } from './sampling.ts';

/** Whether a stream is logged. */
export type LogCondition = (info: StreamInfo) => boolean;

/** Filter state under which the health-check filter marks the requests that it answers, or lets through as checks. */
export const HEALTH_CHECK_STATE = 'envoy.filters.http.health_check';

const NO_HEADERS = new HeaderMap();

/**
 * Compiles envoy.config.accesslog.v3.AccessLogFilter. Runtime keys have no runtime to ask: their defaults count.
 *
 * @throws RegexError
 */
export function compileLogFilter(config: AccessLogFilter): LogCondition {
  if (config.status_code_filter !== undefined) {
    const accepts = compileComparison(config.status_code_filter.comparison);
    return (info) => accepts(info.responseCode);
  }
  if (config.duration_filter !== undefined) {
    const accepts = compileComparison(config.duration_filter.comparison);
    return (info) => accepts(Math.floor(info.endMs - info.startMs));
  }
  if (config.not_health_check_filter !== undefined) return (info) => info.getFilterState(HEALTH_CHECK_STATE) !== true;
  // Without a tracing configuration nothing is traceable, as in Envoy.
  if (config.traceable_filter !== undefined)
    return (info) => info.isTraceable === true && info.getFilterState(HEALTH_CHECK_STATE) !== true;
  if (config.runtime_filter !== undefined) return compileSampling(config.runtime_filter);
  if (config.and_filter !== undefined) {
    const conditions = config.and_filter.filters.map(compileLogFilter);
    return (info) => conditions.every((accepts) => accepts(info));
  }
  if (config.or_filter !== undefined) {
    const conditions = config.or_filter.filters.map(compileLogFilter);
    return (info) => conditions.some((accepts) => accepts(info));
  }
  if (config.header_filter !== undefined) {
    const matches = compileHeaderMatcher(config.header_filter.header);
    return (info) => matches(info.request ?? NO_HEADERS);
  }
  return compileResultFilter(config);
}

/** Filters on what became of a stream. */
function compileResultFilter(config: AccessLogFilter): LogCondition {
  if (config.response_flag_filter !== undefined) {
    let bits = 0;
    for (const flag of config.response_flag_filter.flags) bits |= FLAG[flag as ResponseFlag] ?? 0;
    // No flag named means any flag.
    if (config.response_flag_filter.flags.length === 0) bits = ~0;
    return (info) => (info.responseFlags & bits) !== 0;
  }
  if (config.grpc_status_filter !== undefined) {
    const { statuses, exclude } = config.grpc_status_filter;
    const numbers = new Set(statuses.map(grpcStatusNumber));
    return (info) => numbers.has(sentGrpcStatusOf(info)) !== exclude;
  }
  if (config.log_type_filter !== undefined) {
    const { types, exclude } = config.log_type_filter;
    return (info) => types.includes(logTypeOf(info)) !== exclude;
  }
  if (config.metadata_filter?.matcher !== undefined) {
    const { matcher, match_if_key_not_found: ifAbsent } = config.metadata_filter;
    const matches = compileMetadataMatcher(matcher);
    const [first, ...rest] = matcher.path.map((segment) => segment.key ?? '');
    return (info) => (hasValue(info.getMetadata(matcher.filter, first), rest) ? matches(info) : ifAbsent);
  }
  return () => true;
}

function hasValue(value: unknown, path: readonly string[]): boolean {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return false;
    at = (at as Record<string, unknown>)[key];
  }
  return at !== undefined;
}

function compileComparison(config: ComparisonFilter): (value: number) => boolean {
  const bound = config.value.default_value;
  switch (config.op) {
    case 'GE':
      return (value) => value >= bound;
    case 'LE':
      return (value) => value <= bound;
    case 'NE':
      return (value) => value !== bound;
    default:
      return (value) => value === bound;
  }
}
