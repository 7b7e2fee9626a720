import { describe, expect, it, test } from 'vitest';
import { HTTP_FILTERS } from '../../filters/index.ts';
import { compilePolicies } from '../../policies/apply.ts';
import { explainPolicy } from '../../policies/explain.ts';
import { parsePolicies, readPolicies } from '../../policies/file.ts';
import { POLICY_KINDS } from '../../policies/index.ts';
import { SIDES, type Side } from '../../policies/policy.ts';
import { EXAMPLES } from './examples.ts';

test('semantics are those of Table 2 of the serverless paper', () => {
  const table = POLICY_KINDS.map(({ kind, semantics: { paper, input, output, state } }) => {
    const kept = state.kept === 'none' ? 'No' : 'Yes';
    return `${paper} ${kind}: ${input} | ${output} | ${kept}`;
  });
  expect(table).toEqual([
    '1 RequestAuthentication: L7 headers | allow or deny | No',
    '2 Sidecar: L4 and L7 headers | allow or deny | No',
    '3 AuthorizationPolicy: L7 headers | allow or deny | No',
    '4 RateLimit: L7 headers | allow or deny | Yes',
    '5 Tracing: L4 and L7 headers | none | No',
    '6 AccessLog: L4 and L7 headers | none | No',
    '7 PeerAuthentication: L4 and L7 headers | allow or deny | No',
    '8 RetryPolicy: L7 headers | allow or deny | Yes',
    '9 CircuitBreaker: L7 headers | allow or deny | Yes',
  ]);
});

test('a policy is pure when it keeps no state', () => {
  for (const { semantics } of POLICY_KINDS) expect(semantics.pure).toBe(semantics.state.kept === 'none');
});

test('a policy is compiled for a side only where its filters may run', () => {
  const filters = new Map(
    HTTP_FILTERS.map(({ configType, semantics }) => [`type.googleapis.com/${configType}`, semantics]),
  );
  const wrong = EXAMPLES.flatMap((file) => readPolicies(file).map((policy) => explainPolicy(policy))).flatMap(
    ({ policy, sides }) =>
      sides.flatMap(({ side, fragments }) =>
        (fragments?.httpFilters ?? []).flatMap(({ filter }) => {
          const semantics = filters.get(String(filter.typed_config['@type']));
          const allowed = side === 'sender' ? 'egress' : 'ingress';
          return semantics?.side === 'either' || semantics?.side === allowed
            ? []
            : [`${policy}: ${filter.name} at the ${side}`];
        }),
      ),
  );
  expect(wrong).toEqual([]);
});

const parse = (kind: string, spec: object) =>
  parsePolicies(
    'p.yaml',
    `apiVersion: outrigger.dev/v1\nkind: ${kind}\nmetadata: { name: a }\nspec: ${JSON.stringify(spec)}\n`,
  );

/** Why a policy cannot be enforced on a side. */
function refusal(kind: string, spec: object, side: Side): string {
  try {
    compilePolicies(parse(kind, spec), side);
    return 'possible';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a policy that cannot live on a side says why, and where', () => {
  const from = (source: object) => ({ rules: [{ from: [{ source }] }] });
  const outliers = { outlierDetection: { consecutive5xx: 3 } };
  it.each([
    [
      'Sidecar',
      { egress: [{ hosts: ['a'] }] },
      'receiver',
      'spec.egress  a sidecar scope cannot be enforced by the receiver',
    ],
    ['RetryPolicy', {}, 'receiver', 'retries cannot be made by the receiver'],
    ['CircuitBreaker', outliers, 'receiver', 'spec.outlierDetection  outliers cannot be left out by the receiver'],
    [
      'AuthorizationPolicy',
      from({ principals: ['a'] }),
      'sender',
      'source.principals  principals cannot be told by the sender',
    ],
    [
      'AuthorizationPolicy',
      from({ notIpBlocks: ['10.0.0.0/8'] }),
      'sender',
      'source.notIpBlocks  addresses cannot be told',
    ],
    [
      'AuthorizationPolicy',
      { rules: [{ when: [{ key: 'connection.sni', values: ['a'] }] }] },
      'sender',
      'when[0].key  a server name cannot be told',
    ],
  ] as const)('%s %j at the %s', (kind, spec, side, text) => {
    expect(refusal(kind, spec, side)).toContain(text);
    expect(refusal(kind, spec, side === 'sender' ? 'receiver' : 'sender')).toBe('possible');
  });

  it('limits alone may be at either side', () => {
    for (const side of SIDES) expect(refusal('CircuitBreaker', { limits: { maxRequests: 1 } }, side)).toBe('possible');
  });

  it('a refusal comes with its line', () => {
    expect(refusal('RetryPolicy', {}, 'receiver')).toMatch(/^p\.yaml:4:1 {2}spec {2}/);
  });
});

test('kinds that lie at either side or at both can be compiled for both', () => {
  const placements = POLICY_KINDS.map(({ kind, semantics }) => `${kind} ${semantics.placement} ${semantics.usualSide}`);
  expect(placements).toEqual([
    'RequestAuthentication either receiver',
    'Sidecar sender sender',
    'AuthorizationPolicy either receiver',
    'RateLimit either receiver',
    'Tracing either receiver',
    'AccessLog either receiver',
    'PeerAuthentication both receiver',
    'RetryPolicy sender sender',
    'CircuitBreaker either sender',
  ]);
});

test('an explanation has the parts of each side, or why there are none', () => {
  const [policy] = parse('RetryPolicy', { attempts: 2, budget: {} });
  const { sides } = explainPolicy(policy!);
  expect(
    sides.map(({ side, refusal: why, parts }) => [
      side,
      why === undefined,
      parts.map(({ what, name }) => `${what} ${name}`),
    ]),
  ).toEqual([
    ['sender', true, ['virtual host retry_policy', 'every cluster circuit_breakers']],
    ['receiver', false, []],
  ]);
});

test('what a limit counts becomes an action of the route and a descriptor of the service', () => {
  const [compiled] = compilePolicies(
    parse('RateLimit', {
      domain: 'shop',
      service: { address: 8081 },
      limits: [
        { by: [{ value: 'all' }, { clientAddress: true }], requests: 5, per: 'second' },
        { by: { value: 'all' }, requests: 50, per: 'minute' },
        { by: { claim: 'sub' }, requests: 9, per: 'hour' },
      ],
    }),
    'sender',
  );
  expect(compiled!.fragments.virtualHost).toEqual({
    rate_limits: [
      { actions: [{ generic_key: { descriptor_value: 'all' } }, { remote_address: {} }] },
      { actions: [{ generic_key: { descriptor_value: 'all' } }] },
      {
        actions: [
          {
            metadata: {
              descriptor_key: 'sub',
              metadata_key: { key: 'envoy.filters.http.jwt_authn', path: [{ key: 'payload' }, { key: 'sub' }] },
            },
          },
        ],
      },
    ],
  });
  expect(compiled!.fragments.limits).toEqual({
    domain: 'shop',
    descriptors: [
      {
        key: 'generic_key',
        value: 'all',
        rate_limit: { unit: 'minute', requests_per_unit: 50 },
        descriptors: [{ key: 'remote_address', rate_limit: { unit: 'second', requests_per_unit: 5 } }],
      },
      { key: 'sub', rate_limit: { unit: 'hour', requests_per_unit: 9 } },
    ],
  });
});
