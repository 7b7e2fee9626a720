import type * as v from 'valibot';
import {
  bool,
  bytes,
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
  struct,
  uint32,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { formatProblem, jsonFormatProblem } from './format-text.ts';
import { check } from './message.ts';
import { scalar } from './schema.ts';

/** envoy.config.core.v3 and envoy.type.v3: what many messages share. Addresses are in core-address.ts. */

/** envoy.config.core.v3.Metadata: per-filter maps that ride along with routes, clusters and endpoints. */
export const Metadata = message(
  { filter_metadata: optional(mapOf(struct()), {}) },
  unsupported('typed metadata is not available, use filter_metadata', 'typed_filter_metadata'),
);
export type Metadata = v.InferOutput<typeof Metadata>;

/** envoy.config.core.v3.HeaderValue. */
export const HeaderValue = message(
  { key: headerName(), value: optional(headerValue(), ''), raw_value: optional(bytes()) },
  check((header) =>
    header.value !== '' && header.raw_value !== undefined
      ? new Problem('cannot be given together with "value"', { path: ['raw_value'] })
      : undefined,
  ),
);
export type HeaderValue = v.InferOutput<typeof HeaderValue>;

const AppendAction = enumOf([
  'APPEND_IF_EXISTS_OR_ADD',
  'ADD_IF_ABSENT',
  'OVERWRITE_IF_EXISTS_OR_ADD',
  'OVERWRITE_IF_EXISTS',
]);

/**
 * envoy.config.core.v3.HeaderValueOption. Envoy's old `append` is folded into `append_action`: true appends, false
 * overwrites.
 */
export const HeaderValueOption = message(
  {
    header: HeaderValue,
    append: optional(bool()),
    append_action: optional(AppendAction, 'APPEND_IF_EXISTS_OR_ADD'),
    keep_empty_value: optional(bool(), false),
  },
  check((option) => {
    if (option.append === undefined) return undefined;
    if (option.append_action !== 'APPEND_IF_EXISTS_OR_ADD') {
      return new Problem('cannot be given together with "append_action"', { path: ['append'] });
    }
    if (!option.append) option.append_action = 'OVERWRITE_IF_EXISTS_OR_ADD';
    return undefined;
  }),
  check((option) => formatProblem(option.header.value, ['header', 'value'])),
);
export type HeaderValueOption = v.InferOutput<typeof HeaderValueOption>;

/** envoy.config.common.mutation_rules.v3.HeaderMutation: exactly one of remove and append. */
export const HeaderMutation = message(
  { remove: optional(headerName()), append: optional(HeaderValueOption) },
  oneof(['remove', 'append', 'remove_on_match'], { required: true }),
  unsupported('name the headers with "remove"', 'remove_on_match'),
);
export type HeaderMutation = v.InferOutput<typeof HeaderMutation>;

/** envoy.config.core.v3.KeyValuePair and its append option, for query parameters. */
export const QueryParameter = message({ key: nonEmptyString(), value: optional(string(), '') });
export type QueryParameter = v.InferOutput<typeof QueryParameter>;

/** envoy.config.core.v3.DataSource: text given inline, in a file or in an environment variable. */
export const DataSource = message(
  {
    filename: optional(nonEmptyString()),
    inline_bytes: optional(bytes()),
    inline_string: optional(string()),
    environment_variable: optional(nonEmptyString()),
  },
  oneof(['filename', 'inline_bytes', 'inline_string', 'environment_variable'], { required: true }),
  unsupported('changes of the file are not followed', 'watched_directory'),
);
export type DataSource = v.InferOutput<typeof DataSource>;

/** envoy.type.v3.TokenBucket; fill_interval in milliseconds. */
export const TokenBucket = message({
  max_tokens: uint32({ min: 1 }),
  tokens_per_fill: optional(uint32Value({ min: 1 }), 1),
  fill_interval: duration({ aboveMs: 0 }),
});
export type TokenBucket = v.InferOutput<typeof TokenBucket>;

/** envoy.type.v3.HttpStatus: a status code that Envoy knows. */
export const HttpStatus = message({
  code: scalar('http_status', 'an HTTP status', (value) => {
    const name = typeof value === 'string' ? value : '';
    const code = STATUS_BY_NAME[name] ?? Number(value);
    if (STATUS_CODES.has(code)) return code;
    return new Problem(`${JSON.stringify(value)} is not an HTTP status that Envoy knows`, {
      allowed: 'a number as in 429',
    });
  }),
});
export type HttpStatus = v.InferOutput<typeof HttpStatus>;

const STATUS_BY_NAME: Readonly<Record<string, number>> = {
  Continue: 100,
  OK: 200,
  Created: 201,
  Accepted: 202,
  NoContent: 204,
  MovedPermanently: 301,
  Found: 302,
  SeeOther: 303,
  NotModified: 304,
  TemporaryRedirect: 307,
  PermanentRedirect: 308,
  BadRequest: 400,
  Unauthorized: 401,
  PaymentRequired: 402,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  ProxyAuthenticationRequired: 407,
  RequestTimeout: 408,
  Conflict: 409,
  Gone: 410,
  LengthRequired: 411,
  PreconditionFailed: 412,
  PayloadTooLarge: 413,
  URITooLong: 414,
  UnsupportedMediaType: 415,
  RangeNotSatisfiable: 416,
  ExpectationFailed: 417,
  MisdirectedRequest: 421,
  UnprocessableEntity: 422,
  Locked: 423,
  FailedDependency: 424,
  UpgradeRequired: 426,
  PreconditionRequired: 428,
  TooManyRequests: 429,
  RequestHeaderFieldsTooLarge: 431,
  InternalServerError: 500,
  NotImplemented: 501,
  BadGateway: 502,
  ServiceUnavailable: 503,
  GatewayTimeout: 504,
  HTTPVersionNotSupported: 505,
  VariantAlsoNegotiates: 506,
  InsufficientStorage: 507,
  LoopDetected: 508,
  NotExtended: 510,
  NetworkAuthenticationRequired: 511,
};

/** Codes of envoy.type.v3.StatusCode that have no short name worth typing, besides those above. */
const STATUS_CODES: ReadonlySet<number> = new Set([
  ...Object.values(STATUS_BY_NAME),
  ...[102, 103, 203, 205, 206, 207, 208, 226, 300, 305],
]);

/** envoy.config.core.v3.SubstitutionFormatString: how a body or a log line is made from `%…%` operators. */
export const SubstitutionFormatString = message(
  {
    text_format: optional(string()),
    text_format_source: optional(DataSource),
    json_format: optional(struct()),
    omit_empty_values: optional(bool(), false),
    content_type: optional(string(), ''),
    json_format_options: optional(message({ sort_properties: optional(bool(), false) })),
  },
  oneof(['text_format', 'text_format_source', 'json_format'], { required: true }),
  unsupported('format extensions are not available', 'formatters'),
  check(
    (format) =>
      formatProblem(format.text_format, ['text_format']) ??
      formatProblem(format.text_format_source?.inline_string, ['text_format_source', 'inline_string']) ??
      jsonFormatProblem(format.json_format, ['json_format']),
  ),
);
export type SubstitutionFormatString = v.InferOutput<typeof SubstitutionFormatString>;

/** envoy.config.core.v3.Node. */
export const Node = message(
  {
    id: optional(string(), ''),
    cluster: optional(string(), ''),
    metadata: optional(struct(), {}),
    locality: optional(
      message({ region: optional(string(), ''), zone: optional(string(), ''), sub_zone: optional(string(), '') }),
    ),
    user_agent_name: optional(string()),
    user_agent_version: optional(string()),
    client_features: optional(list(string())),
  },
  unsupported('it belongs to xDS', 'dynamic_parameters', 'user_agent_build_version', 'extensions'),
);
export type Node = v.InferOutput<typeof Node>;

/** envoy.config.core.v3.Locality. */
export const Locality = message({
  region: optional(string(), ''),
  zone: optional(string(), ''),
  sub_zone: optional(string(), ''),
});
export type Locality = v.InferOutput<typeof Locality>;
