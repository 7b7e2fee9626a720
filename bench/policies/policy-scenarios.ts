import type { Scenario, TlsSides } from '../scenario.ts';
import { NINE_POLICIES, type PolicyName } from './policy-name.ts';

const base = {
  groups: ['policies'],
  protocol: 'http',
  downstream: 'http1',
  upstream: 'http1',
  config: 'policies',
  bodyBytes: 100,
  direction: 'download',
  connections: 32,
  streams: 1,
  expectStatus: 200,
} as const;

const MUTUAL: TlsSides = { downstream: 'mtls', upstream: 'mtls' };

function withPolicies(
  name: string,
  summary: string,
  policies: readonly PolicyName[],
  rest: Partial<Scenario> = {},
): Scenario {
  const tls = policies.includes('mtls') ? { tls: MUTUAL } : {};
  return { ...base, name, summary, policies, ...tls, ...rest };
}

/** A mesh's usual receiver, but for its identity. */
const MIX: readonly PolicyName[] = [
  'request_authentication',
  'authorization',
  'local_rate_limit',
  'ip_tag',
  'access_log',
];

/** TLS, and the nine policies of the serverless paper: each alone, all together, and all but one (its ablation). */
export const POLICY_SCENARIOS: readonly Scenario[] = [
  withPolicies('tls', 'HTTPS clients, router only', [], {
    groups: ['core', 'policies', 'encryption'],
    tls: { downstream: 'tls' },
  }),
  withPolicies('mtls', 'mutual TLS on both hops, router only', ['mtls'], { groups: ['policies', 'encryption'] }),
  withPolicies('mtls_handshake', 'a full mutual handshake for each request, clear text behind', [], {
    groups: ['core', 'policies', 'encryption'],
    tls: { downstream: 'mtls' },
    newConnections: true,
    connections: 16,
  }),
  withPolicies('jwt', 'JWT of RS256, cached', ['request_authentication']),
  withPolicies('jwt_uncached', 'JWT of RS256, verified for each request', ['request_authentication'], {
    uncachedTokens: true,
  }),
  withPolicies('authz', 'RBAC: ten policies, the last one allows', ['authorization']),
  withPolicies('ratelimit_global', 'rate limit service, asked for each request', ['global_rate_limit']),
  withPolicies('tracing', 'OpenTelemetry, one request in a hundred', ['tracing']),
  withPolicies('access_log', 'access log to a file, default format', ['access_log']),
  withPolicies('retry', 'a retry policy that is never needed', ['retry']),
  withPolicies('circuit_breaking', 'circuit breakers and outlier detection', ['circuit_breaking']),
  withPolicies('sidecar_scope', 'twenty further services in sight', ['sidecar_scope']),
  withPolicies('policy_mix', 'JWT (cached), RBAC, local rate limit, IP tag, access log', MIX, {
    groups: ['core', 'policies'],
  }),
  withPolicies('policy_mix_uncached', 'the same, every token verified', MIX, {
    groups: ['core', 'policies'],
    uncachedTokens: true,
  }),
  withPolicies('nine', 'all nine policies, mutual TLS on both hops', NINE_POLICIES, {
    groups: ['core', 'policies', 'ablation'],
  }),
  ...NINE_POLICIES.map((left) =>
    withPolicies(
      `nine_without_${left}`,
      `the nine policies without ${left.replaceAll('_', ' ')}`,
      NINE_POLICIES.filter((policy) => policy !== left),
      { groups: ['ablation'] },
    ),
  ),
];
