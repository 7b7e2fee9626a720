import fc from 'fast-check';
import { expect, test } from 'vitest';
import { httpRbac } from '../../filters/rbac/http.ts';
import { compilePolicies } from '../../policies/apply.ts';
import { parsePolicies } from '../../policies/file.ts';
import { mergePolicies } from '../../policies/merge.ts';
import type { Canonical } from '../../policies/policy.ts';
import { JWT_METADATA } from '../../policies/request-authentication.ts';
import { expandSidecar } from '../../src/config/sidecar/index.ts';
import { HttpFilterHarness, requestHead, TestStream } from '../support/filter-harness.ts';

/** What an AuthorizationPolicy means, said once more in the plainest way, against what its RBAC filters decide. */

type Texts = readonly string[] | undefined;
type Fields = Readonly<Record<string, Texts>>;
interface Condition {
  readonly key: string;
  readonly values?: Texts;
  readonly notValues?: Texts;
}
interface Rule {
  readonly from?: readonly { readonly source: Fields }[];
  readonly to?: readonly { readonly operation: Fields }[];
  readonly when?: readonly Condition[];
}
interface Spec {
  readonly action: 'ALLOW' | 'DENY';
  readonly rules: readonly Rule[];
}
interface Call {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly role: string | undefined;
  readonly peer: string | undefined;
  readonly groups: string | readonly string[] | undefined;
}

const few = (...texts: string[]) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...texts), { minLength: 1, maxLength: 2 }), { nil: undefined });
const fields = (name: string, notName: string, ...texts: string[]) =>
  fc.record({ [name]: few(...texts), [notName]: few(...texts) });
const merged = (...parts: fc.Arbitrary<Fields>[]) =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as Fields);

const HOSTS = ['a.test', 'b.a.test', '*.test', 'b*', '*'];
const operation = merged(
  fields('methods', 'notMethods', 'GET', 'PUT', '*'),
  fields('paths', 'notPaths', '/a', '/a/*', '*b', '*/*', '*'),
  fields('hosts', 'notHosts', ...HOSTS),
);
const source = fields('principals', 'notPrincipals', 'm/web', 'm/*', '*api', '*');
const condition = fc.constantFrom('request.headers[x-role]', 'request.auth.claims[groups]').chain((key) =>
  fc
    .tuple(few('staff', 's*', '*'), few('staff', 'guest', '*t'))
    .filter(([values, notValues]) => values !== undefined || notValues !== undefined)
    .map(([values, notValues]): Condition => ({ key, values, notValues })),
);
const upTo = <T>(item: fc.Arbitrary<T>) =>
  fc.option(fc.array(item, { minLength: 1, maxLength: 2 }), { nil: undefined });
const rule: fc.Arbitrary<Rule> = fc.record({
  from: upTo(source.map((one) => ({ source: one }))),
  to: upTo(operation.map((one) => ({ operation: one }))),
  when: upTo(condition),
}) as fc.Arbitrary<Rule>;
const spec: fc.Arbitrary<Spec> = fc
  .record({ action: fc.constantFrom('ALLOW', 'DENY'), rules: fc.array(rule, { maxLength: 3 }) })
  .map((one) => ({ ...one, action: one.rules.length === 0 ? 'ALLOW' : one.action }) as Spec);
const call: fc.Arbitrary<Call> = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'POST'),
  path: fc.constantFrom('/', '/a', '/a/b', '/a?q=/b', '/ab'),
  host: fc.constantFrom('a.test', 'A.TEST', 'a.test:80', 'B.a.test:8080', 'A.test:1', 'test', 'b.other'),
  role: fc.constantFrom(undefined, 'staff', 'guest', 'STAFF'),
  peer: fc.constantFrom(undefined, 'spiffe://m/web', 'spiffe://m/api', 'spiffe://n/api'),
  groups: fc.constantFrom<Call['groups'][]>(undefined, 'staff', ['guest', 'staff'], ['guest'], []),
});

function matches(pattern: string, value: string): boolean {
  if (pattern === '*') return true;
  const text = pattern.replaceAll('*', '');
  if (pattern.startsWith('*')) return pattern.endsWith('*') ? value.includes(text) : value.endsWith(text);
  return pattern.endsWith('*') ? value.startsWith(text) : value === text;
}

/** One of the wanted matches one of the values, and none of the unwanted does. */
function holds(wanted: Texts, unwanted: Texts, values: readonly string[]): boolean {
  const hit = (patterns: readonly string[]) =>
    patterns.some((pattern) => values.some((value) => matches(pattern, value)));
  return (wanted === undefined || hit(wanted)) && (unwanted === undefined || !hit(unwanted));
}

function ruleHolds({ from, to, when }: Rule, one: Call): boolean {
  const host = one.host.toLowerCase().replace(/:\d+$/, '');
  const peer = one.peer === undefined ? [] : [one.peer.replace('spiffe://', '')];
  const given = (value: string | readonly string[] | undefined) => (value === undefined ? [] : [value].flat());
  const byCaller = from?.some(({ source: { principals, notPrincipals } }) => holds(principals, notPrincipals, peer));
  const byTarget = to?.some(
    ({ operation: { methods, notMethods, paths, notPaths, hosts, notHosts } }) =>
      holds(methods, notMethods, [one.method]) &&
      holds(paths, notPaths, [one.path.replace(/\?.*/, '')]) &&
      holds(hosts, notHosts, [host]),
  );
  const byRest = when?.every(({ key, values, notValues }) =>
    key.includes('headers') ? holds(values, notValues, given(one.role)) : claimHolds(values, notValues, one.groups),
  );
  return (byCaller ?? true) && (byTarget ?? true) && (byRest ?? true);
}

/** `*` asks whether there is a claim at all. */
function claimHolds(values: Texts, notValues: Texts, groups: Call['groups']): boolean {
  if (values?.includes('*') && groups !== undefined) return holds(undefined, notValues, [groups].flat());
  return holds(values, notValues, groups === undefined ? [] : [groups].flat());
}

function isAllowed(specs: readonly Spec[], one: Call): boolean {
  const any = (action: Spec['action']) =>
    specs.some((policy) => policy.action === action && policy.rules.some((part) => ruleHolds(part, one)));
  if (any('DENY')) return false;
  return specs.every(({ action }) => action === 'DENY') || any('ALLOW');
}

/** What the filters decide that the policies become. */
function decide(specs: readonly Spec[]): (one: Call) => boolean {
  const text = specs.map(
    (one, index) =>
      `apiVersion: outrigger.dev/v1\nkind: AuthorizationPolicy\nmetadata: { name: p${index} }\nspec: ${JSON.stringify(one)}\n---\n`,
  );
  const compiled = compilePolicies(parsePolicies('p.yaml', text.join('')), 'receiver');
  const bootstrap = mergePolicies(expandSidecar({ listen: 1, app: 2 }), compiled);
  const [listener] = (bootstrap.static_resources as { listeners: Canonical[] }).listeners;
  const [chain] = listener!.filter_chains as { filters: { typed_config: Canonical }[] }[];
  const filters = chain!.filters.at(-1)!.typed_config.http_filters as { typed_config: Canonical }[];
  const chainOfRbac = filters.slice(0, -1).map(({ typed_config }) => new HttpFilterHarness(httpRbac, typed_config));
  return (one) => {
    const head = requestHead({
      ':method': one.method,
      ':path': one.path,
      ':authority': one.host,
      ...(one.role === undefined ? {} : { 'x-role': one.role }),
    });
    const tls = { version: 'TLSv1.3', cipher: '', alpn: '', peerVerified: true, peerDnsSans: [], peerSubject: '' };
    const stream = new TestStream(head, one.peer === undefined ? {} : { tls: { ...tls, peerUriSans: [one.peer] } });
    if (one.groups !== undefined) stream.setMetadata(JWT_METADATA, 'payload', { groups: one.groups });
    return chainOfRbac.every(({ hooks }) => hooks.onRequest?.(head, stream) === undefined);
  };
}

test('the filters decide what the policies say, whatever they say', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(
      fc.array(spec, { minLength: 1, maxLength: 3 }),
      fc.array(call, { minLength: 4, maxLength: 12 }),
      (specs, calls) => {
        const decided = decide(specs);
        for (const one of calls) expect([one, decided(one)]).toEqual([one, isAllowed(specs, one)]);
      },
    ),
    { numRuns: 300 },
  );
});
