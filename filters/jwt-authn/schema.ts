import * as v from 'valibot';
import {
  bool,
  check,
  duration,
  headerName,
  headerValue,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  type Schema,
  string,
  uint32,
  uint32Value,
  unsupported,
} from '../../src/config/schema/building-blocks.ts';
import { DataSource } from '../../src/config/schema/core.ts';
import { StringMatcher } from '../../src/config/schema/matcher.ts';
import { RouteMatch } from '../../src/config/schema/route-components.ts';
import { writtenHeader } from '../../src/config/schema/written-header.ts';

/** envoy.extensions.filters.http.jwt_authn.v3, and what it uses of envoy.config.core.v3. Durations in milliseconds. */

/** envoy.config.core.v3.HttpUri: host and path, asked for over a cluster. */
const HttpUri = message({
  uri: string({
    pattern: /^(?:https?:\/\/)?[^/?#\s]+[^\s#]*$/,
    allowed: 'host and path, with or without http:// or https://',
  }),
  cluster: nonEmptyString(),
  timeout: duration({ aboveMs: 0 }),
});

/** envoy.config.core.v3.RetryPolicy. */
const FetchRetryPolicy = message(
  {
    retry_back_off: optional(
      message({ base_interval: duration({ minMs: 1 }), max_interval: optional(duration({ aboveMs: 0 })) }),
    ),
    num_retries: optional(uint32Value(), 1),
  },
  unsupported('a fetch is tried again after every failure', 'retry_on'),
  unsupported(
    'a fetch takes any healthy endpoint',
    'retry_priority',
    'retry_host_predicate',
    'host_selection_retry_max_attempts',
  ),
);
export type FetchRetryPolicy = v.InferOutput<typeof FetchRetryPolicy>;

const RemoteJwks = message({
  http_uri: HttpUri,
  cache_duration: optional(duration({ minMs: 1 }), '600s'),
  async_fetch: optional(
    message({
      fast_listener: optional(bool(), false),
      failed_refetch_duration: optional(duration({ minMs: 1 }), '1s'),
    }),
  ),
  retry_policy: optional(FetchRetryPolicy),
});
export type RemoteJwks = v.InferOutput<typeof RemoteJwks>;

const ClaimToHeader = message(
  {
    header_name: writtenHeader(),
    claim_name: optional(string(), ''),
    claim_path: optional(list(message({ key: nonEmptyString() })), []),
  },
  check((claim) =>
    (claim.claim_name === '') === (claim.claim_path.length === 0)
      ? new Problem('exactly one of claim_name, claim_path is required')
      : undefined,
  ),
);

export const JwtProvider = message(
  {
    issuer: optional(string(), ''),
    audiences: optional(list(string()), []),
    subjects: optional(StringMatcher),
    require_expiration: optional(bool(), false),
    max_lifetime: optional(duration()),
    remote_jwks: optional(RemoteJwks),
    local_jwks: optional(DataSource),
    forward: optional(bool(), false),
    from_headers: optional(list(message({ name: headerName(), value_prefix: optional(headerValue(), '') })), []),
    from_params: optional(list(string()), []),
    from_cookies: optional(list(string()), []),
    forward_payload_header: optional(writtenHeader()),
    pad_forward_payload_header: optional(bool(), false),
    payload_in_metadata: optional(string(), ''),
    normalize_payload_in_metadata: optional(message({ space_delimited_claims: optional(list(string()), []) })),
    header_in_metadata: optional(string(), ''),
    failed_status_in_metadata: optional(string(), ''),
    clock_skew_seconds: optional(uint32(), 0),
    jwt_cache_config: optional(
      message({ jwt_cache_size: optional(uint32(), 0), jwt_max_token_size: optional(uint32(), 0) }),
    ),
    claim_to_headers: optional(list(ClaimToHeader), []),
    clear_route_cache: optional(bool(), false),
  },
  oneof(['remote_jwks', 'local_jwks'], { required: true }),
  check((provider) => inlineKeysProblem(provider.local_jwks)),
);
export type JwtProvider = v.InferOutput<typeof JwtProvider>;

/** What can be said of keys in the configuration without reading them one by one, which is done when it is loaded. */
function inlineKeysProblem(source: DataSource | undefined): Problem | undefined {
  const text = source?.inline_string ?? source?.inline_bytes?.toString('utf8');
  if (text === undefined) return undefined;
  const path = ['local_jwks', source?.inline_string === undefined ? 'inline_bytes' : 'inline_string'];
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    return Array.isArray(keys) ? undefined : new Problem('Jwks does not have [keys] field', { path });
  } catch {
    return new Problem('Jwks is an invalid JSON', { path });
  }
}

/** At most one of its fields; without any, nothing is required. */
export interface JwtRequirement {
  provider_name?: string | undefined;
  provider_and_audiences?: { provider_name: string; audiences: string[] } | undefined;
  requires_any?: { requirements: JwtRequirement[] } | undefined;
  requires_all?: { requirements: JwtRequirement[] } | undefined;
  allow_missing_or_failed?: object | undefined;
  allow_missing?: object | undefined;
}

const requirement: Schema<JwtRequirement> = v.lazy(() => JwtRequirement);
const group = message({ requirements: list(requirement, { min: 2 }) });

export const JwtRequirement: Schema<JwtRequirement> = message(
  {
    provider_name: optional(string()),
    provider_and_audiences: optional(
      message({ provider_name: optional(string(), ''), audiences: optional(list(string()), []) }),
    ),
    requires_any: optional(group),
    requires_all: optional(group),
    allow_missing_or_failed: optional(message({})),
    allow_missing: optional(message({})),
  },
  oneof([
    'provider_name',
    'provider_and_audiences',
    'requires_any',
    'requires_all',
    'allow_missing_or_failed',
    'allow_missing',
    'extract_only_without_validation',
  ]),
  unsupported('claims are trusted only when the signature is right', 'extract_only_without_validation'),
);

const RequirementRule = message(
  { match: RouteMatch, requires: optional(JwtRequirement), requirement_name: optional(nonEmptyString()) },
  oneof(['requires', 'requirement_name']),
);
export type RequirementRule = v.InferOutput<typeof RequirementRule>;

const FilterStateRule = message({ name: nonEmptyString(), requires: optional(mapOf(JwtRequirement), {}) });

export const JwtAuthentication = message(
  {
    providers: optional(mapOf(JwtProvider), {}),
    rules: optional(list(RequirementRule), []),
    filter_state_rules: optional(FilterStateRule),
    bypass_cors_preflight: optional(bool(), false),
    requirement_map: optional(mapOf(JwtRequirement), {}),
    strip_failure_response: optional(bool(), false),
    stat_prefix: optional(string(), ''),
  },
  check((config) => {
    for (const [index, rule] of config.rules.entries()) {
      const path = ['rules', index];
      if (rule.requirement_name !== undefined && !Object.hasOwn(config.requirement_map, rule.requirement_name)) {
        return new Problem(`the requirement "${rule.requirement_name}" does not exist`, {
          path: [...path, 'requirement_name'],
          allowed: Object.keys(config.requirement_map).join(', ') || 'a name of requirement_map',
        });
      }
      const problem = providerProblem(rule.requires, config.providers, [...path, 'requires']);
      if (problem !== undefined) return problem;
    }
    for (const field of ['requirement_map', 'filter_state_rules'] as const) {
      const requirements = field === 'requirement_map' ? config[field] : config[field]?.requires;
      const path = field === 'requirement_map' ? [field] : [field, 'requires'];
      for (const [name, each] of Object.entries(requirements ?? {})) {
        const problem = providerProblem(each, config.providers, [...path, name]);
        if (problem !== undefined) return problem;
      }
    }
    return undefined;
  }),
);
export type JwtAuthentication = v.InferOutput<typeof JwtAuthentication>;

/** envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig. */
export const PerRouteConfig = message(
  {
    disabled: optional(v.pipe(bool(), v.literal(true, 'must be true'))),
    requirement_name: optional(nonEmptyString()),
  },
  oneof(['disabled', 'requirement_name'], { required: true }),
);
export type PerRouteConfig = v.InferOutput<typeof PerRouteConfig>;

/** The first provider that a requirement names and that does not exist. */
function providerProblem(
  one: JwtRequirement | undefined,
  providers: Readonly<Record<string, JwtProvider>>,
  path: (string | number)[],
): Problem | undefined {
  if (one === undefined) return undefined;
  for (const kind of ['requires_any', 'requires_all'] as const) {
    for (const [index, part] of (one[kind]?.requirements ?? []).entries()) {
      const problem = providerProblem(part, providers, [...path, kind, 'requirements', index]);
      if (problem !== undefined) return problem;
    }
  }
  const name = one.provider_name ?? one.provider_and_audiences?.provider_name;
  if (name === undefined || Object.hasOwn(providers, name)) return undefined;
  const field = one.provider_name === undefined ? ['provider_and_audiences', 'provider_name'] : ['provider_name'];
  return new Problem(`the provider "${name}" does not exist`, {
    path: [...path, ...field],
    allowed: Object.keys(providers).join(', ') || 'a name of providers',
  });
}
