import * as v from 'valibot';
import {
  bool,
  bytes,
  check,
  duration,
  enumOf,
  fixedBool,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  type Schema,
  uint32,
  uint32Value,
  uint64,
  unsupported,
} from './building-blocks.ts';
import { RuntimeFractionalPercent } from './percent.ts';
import { HeaderMatcher } from './route-matchers.ts';

/** envoy.config.tap.v3, envoy.config.common.matcher.v3.MatchPredicate and envoy.admin.v3.TapRequest. */

/** envoy.config.common.matcher.v3.HttpHeadersMatch: all of them match. */
const HttpHeadersMatch = message({ headers: optional(list(HeaderMatcher), []) });
export type HttpHeadersMatch = v.InferOutput<typeof HttpHeadersMatch>;

/** A text or bytes (in base64) to be found. */
const GenericTextMatch = message(
  { string_match: optional(nonEmptyString()), binary_match: optional(bytes()) },
  oneof(['string_match', 'binary_match'], { required: true }),
  check((pattern) =>
    pattern.binary_match?.length === 0 ? new Problem('must not be empty', { path: ['binary_match'] }) : undefined,
  ),
);

/** envoy.config.common.matcher.v3.HttpGenericBodyMatch: all patterns are found in the body's first bytes. */
const HttpGenericBodyMatch = message({
  bytes_limit: optional(uint32(), 0),
  patterns: list(GenericTextMatch, { min: 1 }),
});
export type HttpGenericBodyMatch = v.InferOutput<typeof HttpGenericBodyMatch>;

/** envoy.config.common.matcher.v3.MatchPredicate: exactly one of its fields. */
export interface MatchPredicate {
  or_match?: { rules: MatchPredicate[] } | undefined;
  and_match?: { rules: MatchPredicate[] } | undefined;
  not_match?: MatchPredicate | undefined;
  any_match?: boolean | undefined;
  http_request_headers_match?: HttpHeadersMatch | undefined;
  http_request_trailers_match?: HttpHeadersMatch | undefined;
  http_response_headers_match?: HttpHeadersMatch | undefined;
  http_response_trailers_match?: HttpHeadersMatch | undefined;
  http_request_generic_body_match?: HttpGenericBodyMatch | undefined;
  http_response_generic_body_match?: HttpGenericBodyMatch | undefined;
}

const predicate: Schema<MatchPredicate> = v.lazy(() => MatchPredicate);
const MatchSet = message({ rules: list(predicate, { min: 2 }) });

export const MatchPredicate: Schema<MatchPredicate> = message(
  {
    or_match: optional(MatchSet),
    and_match: optional(MatchSet),
    not_match: optional(predicate),
    any_match: optional(fixedBool(true, 'a rule that never matches says nothing')),
    http_request_headers_match: optional(HttpHeadersMatch),
    http_request_trailers_match: optional(HttpHeadersMatch),
    http_response_headers_match: optional(HttpHeadersMatch),
    http_response_trailers_match: optional(HttpHeadersMatch),
    http_request_generic_body_match: optional(HttpGenericBodyMatch),
    http_response_generic_body_match: optional(HttpGenericBodyMatch),
  },
  oneof(
    [
      'or_match',
      'and_match',
      'not_match',
      'any_match',
      'http_request_headers_match',
      'http_request_trailers_match',
      'http_response_headers_match',
      'http_response_trailers_match',
      'http_request_generic_body_match',
      'http_response_generic_body_match',
    ],
    { required: true },
  ),
);

/** envoy.config.tap.v3.OutputSink. */
export const OutputSink = message(
  {
    format: optional(enumOf(['JSON_BODY_AS_BYTES', 'JSON_BODY_AS_STRING']), 'JSON_BODY_AS_BYTES'),
    streaming_admin: optional(message({})),
    buffered_admin: optional(message({ max_traces: uint64({ min: 1 }), timeout: optional(duration()) })),
    file_per_tap: optional(message({ path_prefix: nonEmptyString() })),
  },
  oneof(['streaming_admin', 'buffered_admin', 'file_per_tap', 'streaming_grpc', 'custom_sink'], { required: true }),
  unsupported('traces go to files or to the admin server', 'streaming_grpc', 'custom_sink'),
);
export type OutputSink = v.InferOutput<typeof OutputSink>;

/** envoy.config.tap.v3.OutputConfig. How much of a body is kept: of the request (rx) and of the response (tx). */
export const TapOutput = message(
  {
    sinks: list(OutputSink, { min: 1, max: 1 }),
    max_buffered_rx_bytes: optional(uint32Value(), 1024),
    max_buffered_tx_bytes: optional(uint32Value(), 1024),
    streaming: optional(bool(), false),
  },
  unsupported('it is for taps of sockets', 'min_streamed_sent_bytes'),
);

/** envoy.config.tap.v3.TapConfig. */
export const TapConfig = message(
  {
    match: MatchPredicate,
    output_config: TapOutput,
    tap_enabled: optional(RuntimeFractionalPercent),
  },
  unsupported('use match', 'match_config'),
);
export type TapConfig = v.InferOutput<typeof TapConfig>;

/** envoy.admin.v3.TapRequest, the body of `POST /tap`. */
export const TapRequest = message({ config_id: nonEmptyString(), tap_config: TapConfig });
export type TapRequest = v.InferOutput<typeof TapRequest>;
