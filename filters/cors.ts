import type * as v from 'valibot';
import { boolValue, list, message, optional, string } from '../src/config/schema/building-blocks.ts';
import { StringMatcher } from '../src/config/schema/matcher.ts';
import { RuntimeFractionalPercent } from '../src/config/schema/percent.ts';
import { defineHttpFilter, type Reply, reply } from '../src/filter/index.ts';
import type { RequestHead, ResponseHead } from '../src/http/message.ts';
import { compileFraction } from '../src/matching/fraction.ts';
import { compileStringMatcher } from '../src/matching/string-matcher.ts';
import { toWireText } from '../src/matching/wire-text.ts';

/** envoy.extensions.filters.http.cors.v3.Cors. */
export const Cors = message({});
export type Cors = v.InferOutput<typeof Cors>;

/** envoy.extensions.filters.http.cors.v3.CorsPolicy. */
export const CorsPolicy = message({
  allow_origin_string_match: optional(list(StringMatcher), []),
  allow_methods: optional(string(), ''),
  allow_headers: optional(string(), ''),
  expose_headers: optional(string(), ''),
  max_age: optional(string(), ''),
  allow_credentials: optional(boolValue()),
  filter_enabled: optional(RuntimeFractionalPercent),
  shadow_enabled: optional(RuntimeFractionalPercent),
  allow_private_network_access: optional(boolValue()),
  forward_not_matching_preflights: optional(boolValue()),
});
export type CorsPolicy = v.InferOutput<typeof CorsPolicy>;

/**
 * Cross-origin resource sharing (Envoy: envoy.filters.http.cors): answers preflight requests and marks the responses to
 * allowed origins. Policies come with `typed_per_filter_config` of virtual hosts and routes; a field that the more
 * specific policy leaves unset is taken from the less specific one.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors
 */
export const cors = defineHttpFilter<Cors, CorsPolicy>({
  name: 'envoy.filters.http.cors',
  configType: 'envoy.extensions.filters.http.cors.v3.Cors',
  config: Cors,
  routeConfigType: 'envoy.extensions.filters.http.cors.v3.CorsPolicy',
  routeConfig: CorsPolicy,
  semantics: { side: 'ingress', state: 'none', body: 'none' },
  create(_base, env) {
    const mostSpecific = env.routeConfigs.at(-1);
    if (mostSpecific === undefined) return {};
    const policy = compilePolicy(env.routeConfigs.toReversed());
    const isEnabled = mostSpecific.filter_enabled === undefined ? always : compileFraction(mostSpecific.filter_enabled);
    const isShadow = mostSpecific.shadow_enabled === undefined ? never : compileFraction(mostSpecific.shadow_enabled);
    const stats = env.stats.scope('cors');
    const valid = stats.counter('origin_valid');
    const invalid = stats.counter('origin_invalid');
    const allowedOrigin = env.slot<string>();
    return {
      onRequest(request, stream) {
        const enabled = isEnabled();
        if (!enabled && !isShadow()) return undefined;
        const origin = request.get('origin');
        if (origin === undefined || origin === '') return undefined;
        const allowed = policy.allowsOrigin(origin);
        (allowed ? valid : invalid).inc();
        if (!enabled) return undefined;
        if (allowed) allowedOrigin.set(stream, origin);
        if (request.method !== 'OPTIONS' || !request.get('access-control-request-method')) return undefined;
        return allowed || !policy.forwardsOthers ? answerPreflight(policy, request, allowed ? origin : '') : undefined;
      },
      onResponse(response, stream) {
        const origin = allowedOrigin.get(stream);
        if (origin !== undefined) markResponse(policy, response, origin);
      },
    };
  },
});

const always = () => true;
const never = () => false;

interface CompiledPolicy {
  readonly allowsOrigin: (origin: string) => boolean;
  readonly methods: string;
  readonly headers: string;
  readonly exposed: string;
  readonly maxAge: string;
  readonly credentials: boolean;
  readonly privateNetwork: boolean;
  readonly forwardsOthers: boolean;
}

/** Merges policies, the most specific first. */
function compilePolicy(policies: readonly CorsPolicy[]): CompiledPolicy {
  const text = (field: 'allow_methods' | 'allow_headers' | 'expose_headers' | 'max_age') =>
    toWireText(policies.find((policy) => policy[field] !== '')?.[field] ?? '');
  const flag = (
    field: 'allow_credentials' | 'allow_private_network_access' | 'forward_not_matching_preflights',
    fallback: boolean,
  ) => policies.find((policy) => policy[field] !== undefined)?.[field] ?? fallback;
  const origins = policies.find((policy) => policy.allow_origin_string_match.length > 0)?.allow_origin_string_match;
  const matchers = (origins ?? []).map(compileStringMatcher);
  const allowsAny = matchers.some((matches) => matches('*'));
  return {
    allowsOrigin: allowsAny ? always : (origin) => matchers.some((matches) => matches(origin)),
    methods: text('allow_methods'),
    headers: text('allow_headers'),
    exposed: text('expose_headers'),
    maxAge: text('max_age'),
    credentials: flag('allow_credentials', false),
    privateNetwork: flag('allow_private_network_access', false),
    forwardsOthers: flag('forward_not_matching_preflights', true),
  };
}

/** The answer to a preflight request; `origin` is '' for one that is not allowed. */
function answerPreflight(policy: CompiledPolicy, request: RequestHead, origin: string): Reply {
  const headers: Record<string, string> = {};
  if (origin !== '') headers['access-control-allow-origin'] = origin;
  if (policy.credentials) headers['access-control-allow-credentials'] = 'true';
  if (policy.methods !== '') {
    headers['access-control-allow-methods'] =
      policy.methods === '*' ? (request.get('access-control-request-method') ?? '') : policy.methods;
  }
  if (policy.headers !== '') {
    headers['access-control-allow-headers'] =
      policy.headers === '*' ? (request.get('access-control-request-headers') ?? '') : policy.headers;
  }
  if (policy.maxAge !== '') headers['access-control-max-age'] = policy.maxAge;
  if (policy.privateNetwork && request.get('access-control-request-private-network') === 'true') {
    headers['access-control-allow-private-network'] = 'true';
  }
  return reply(200, { headers, details: 'cors_response' });
}

function markResponse(policy: CompiledPolicy, response: ResponseHead, origin: string): void {
  response.set('access-control-allow-origin', origin);
  if (policy.credentials) response.set('access-control-allow-credentials', 'true');
  if (policy.exposed !== '') response.set('access-control-expose-headers', policy.exposed);
}
