import type * as v from 'valibot';
import {
  bool,
  double,
  enumOf,
  headerName,
  headerValue,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  type Schema,
  string,
  uint32,
} from '../schema/building-blocks.ts';
import { METADATA_NAMESPACE, numbered } from './rbac.ts';
import { textMatcher } from './text-matcher.ts';
import { cidr, either, isRecord, oneOrMany, size, span } from './units.ts';

/** The HTTP filters of the short form: what each asks for, and its canonical configuration. */

type Canonical = Record<string, unknown>;

/** So many requests per time, with bursts; answers 429 above. */
export const RateLimit = message({
  requests: uint32({ min: 1 }),
  per: optional(span(), '1s'),
  /** Tokens that may gather while nothing comes; `requests` unless given. */
  burst: optional(uint32({ min: 1 })),
  status: optional(uint32({ min: 400, max: 599 }), 429),
  /** Tells clients with x-ratelimit-* headers. */
  headers: optional(bool(), false),
  per_connection: optional(bool(), false),
});

export function rateLimit(config: v.InferOutput<typeof RateLimit>): Canonical {
  const always = (key: string) => ({ runtime_key: key, default_value: { numerator: 100, denominator: 'HUNDRED' } });
  return {
    stat_prefix: 'rate_limit',
    ...(config.status === 429 ? {} : { status: { code: config.status } }),
    token_bucket: {
      max_tokens: config.burst ?? config.requests,
      tokens_per_fill: config.requests,
      fill_interval: config.per,
    },
    filter_enabled: always('local_rate_limit_enabled'),
    filter_enforced: always('local_rate_limit_enforced'),
    ...(config.headers ? { enable_x_ratelimit_headers: 'DRAFT_VERSION_03' } : {}),
    ...(config.per_connection ? { local_rate_limit_per_downstream_connection: true } : {}),
  };
}

/** Names for address ranges, written into a header. */
export const IpTag = message({
  tags: mapOf(oneOrMany(cidr(), list(cidr(), { min: 1 }))),
  /** x-envoy-ip-tags unless given. */
  header: optional(headerName()),
  requests: optional(enumOf(['BOTH', 'INTERNAL', 'EXTERNAL']), 'BOTH'),
  /** Makes so many copies of each tag, numbered; for measurements. */
  repeat: optional(uint32({ min: 1, max: 100_000 }), 1),
});

export function ipTag(config: v.InferOutput<typeof IpTag>): Canonical {
  const tags = Object.entries(config.tags).flatMap(([name, ip_list]) =>
    Array.from({ length: config.repeat }, (_, index) => {
      const suffix = config.repeat === 1 || name.includes('{n}') ? name : `${name}-{n}`;
      return numbered({ ip_tag_name: suffix, ip_list }, index + 1);
    }),
  );
  return {
    request_type: config.requests,
    ip_tags: tags,
    ...(config.header === undefined ? {} : { ip_tag_header: { header: config.header, action: 'SANITIZE' } }),
  };
}

/** Stores a header or cookie for rules and logs: `%DYNAMIC_METADATA(outrigger:key)%`. */
const HeaderRule = message(
  {
    header: optional(headerName()),
    cookie: optional(nonEmptyString()),
    /** Key of the stored value; the header's name unless given. */
    as: optional(nonEmptyString()),
    namespace: optional(nonEmptyString(), METADATA_NAMESPACE),
    default: optional(string({ minLength: 1 })),
    number: optional(bool(), false),
    remove: optional(bool(), false),
  },
  oneof(['header', 'cookie'], { required: true }),
  oneof(['cookie', 'remove']),
);

export const HeaderRead = oneOrMany(
  either(
    HeaderRule,
    headerName(),
    (header) => ({ header, namespace: METADATA_NAMESPACE, number: false, remove: false }),
    isRecord,
  ),
  list(
    either(
      HeaderRule,
      headerName(),
      (header) => ({ header, namespace: METADATA_NAMESPACE, number: false, remove: false }),
      isRecord,
    ),
  ),
);

export function headerRead(rules: v.InferOutput<typeof HeaderRead>): Canonical {
  return {
    request_rules: rules.map((rule) => {
      const key = rule.as ?? rule.header ?? rule.cookie;
      const target = { metadata_namespace: rule.namespace, key, ...(rule.number ? { type: 'NUMBER' } : {}) };
      return {
        ...(rule.header === undefined ? { cookie: rule.cookie } : { header: rule.header }),
        on_header_present: target,
        ...(rule.default === undefined ? {} : { on_header_missing: { ...target, value: rule.default } }),
        ...(rule.remove ? { remove: true } : {}),
      };
    }),
  };
}

const Mutations = message({
  set: optional(mapOf(headerValue()), {}),
  add: optional(mapOf(headerValue()), {}),
  default: optional(mapOf(headerValue()), {}),
  remove: optional(list(headerName()), []),
});

/** Headers to set, add, set when missing, and remove, on the way in and out. */
export const HeaderMutation = message({ request: optional(Mutations), response: optional(Mutations) });

export function headerMutation(config: v.InferOutput<typeof HeaderMutation>): Canonical {
  return {
    mutations: {
      ...(config.request === undefined ? {} : { request_mutations: mutations(config.request) }),
      ...(config.response === undefined ? {} : { response_mutations: mutations(config.response) }),
    },
  };
}

function mutations(config: v.InferOutput<typeof Mutations>): Canonical[] {
  const appends = (values: Record<string, string>, append_action: string) =>
    Object.entries(values).map(([key, value]) => ({ append: { header: { key, value }, append_action } }));
  return [
    ...config.remove.map((remove) => ({ remove })),
    ...appends(config.set, 'OVERWRITE_IF_EXISTS_OR_ADD'),
    ...appends(config.add, 'APPEND_IF_EXISTS_OR_ADD'),
    ...appends(config.default, 'ADD_IF_ABSENT'),
  ];
}

const percent = optional(double({ min: 0, max: 100 }), 100);

function methodPath(): Schema<string> {
  return string({ pattern: /^(?:\*|\/?[^/]+\/[^/]+)$/, allowed: 'service/method, or "*"' });
}

/** Figures of gRPC calls: of every method, of all together, or of the methods that are named. */
export const GrpcStats = message({
  /** `service/method`; `*` has figures of every method. */
  methods: optional(oneOrMany(methodPath(), list(methodPath()))),
  /** A histogram of the time that the upstream took. */
  time: optional(bool(), false),
});

export function grpcStats(config: v.InferOutput<typeof GrpcStats>): Canonical {
  const time = config.time ? { enable_upstream_stats: true } : {};
  if (config.methods === undefined) return time;
  if (config.methods.includes('*')) return { stats_for_all_methods: true, ...time };
  const byService = Map.groupBy(config.methods, (path) => path.replace(/^\/|\/[^/]*$/g, ''));
  const services = [...byService].map(([name, paths]) => ({
    name,
    method_names: paths.map((path) => path.slice(path.lastIndexOf('/') + 1)),
  }));
  return { individual_method_stats_allowlist: { services }, ...time };
}

/** Delays and errors for a share of the requests. */
export const Fault = message({
  delay: optional(message({ for: span(), percent })),
  abort: optional(message({ status: uint32({ min: 200, max: 599 }), percent })),
});

export function fault(config: v.InferOutput<typeof Fault>): Canonical {
  const share = (value: number) =>
    Number.isInteger(value)
      ? { numerator: value, denominator: 'HUNDRED' }
      : { numerator: Math.round(value * 10_000), denominator: 'MILLION' };
  return {
    ...(config.delay === undefined
      ? {}
      : { delay: { fixed_delay: config.delay.for, percentage: share(config.delay.percent) } }),
    ...(config.abort === undefined
      ? {}
      : { abort: { http_status: config.abort.status, percentage: share(config.abort.percent) } }),
  };
}

/** Holds requests back until their body is complete. */
export const Buffer = either(message({ max_bytes: size() }), size(), (max_bytes) => ({ max_bytes }), isRecord);

export function buffer(config: v.InferOutput<typeof Buffer>): Canonical {
  return { max_request_bytes: config.max_bytes };
}

/** Which origins browsers may call from. */
export const Cors = message({
  origins: oneOrMany(textMatcher(), list(textMatcher(), { min: 1 })),
  methods: optional(list(nonEmptyString())),
  headers: optional(list(nonEmptyString())),
  expose: optional(list(nonEmptyString())),
  max_age: optional(span()),
  credentials: optional(bool(), false),
});

/** envoy.extensions.filters.http.cors.v3.CorsPolicy, which belongs to the virtual host. */
export function corsPolicy(config: v.InferOutput<typeof Cors>): Canonical {
  const joined = (key: string, values: string[] | undefined) =>
    values === undefined ? {} : { [key]: values.join(', ') };
  return {
    allow_origin_string_match: config.origins.map(({ present, ...text }) =>
      present ? { safe_regex: { regex: '.*' } } : text,
    ),
    ...joined('allow_methods', config.methods),
    ...joined('allow_headers', config.headers),
    ...joined('expose_headers', config.expose),
    ...(config.max_age === undefined ? {} : { max_age: String(Math.round(Number.parseFloat(config.max_age))) }),
    ...(config.credentials ? { allow_credentials: true } : {}),
  };
}

/** Answers health checks by itself, or asks the application and remembers its answer for a while. */
export const HealthCheck = either(
  message({ path: nonEmptyString(), cache: optional(span()) }),
  nonEmptyString(),
  (path) => ({ path }),
  isRecord,
);

export function healthCheck(config: v.InferOutput<typeof HealthCheck>): Canonical {
  return {
    pass_through_mode: config.cache !== undefined,
    ...(config.cache === undefined ? {} : { cache_time: config.cache }),
    headers: [{ name: ':path', string_match: { exact: config.path } }],
  };
}
