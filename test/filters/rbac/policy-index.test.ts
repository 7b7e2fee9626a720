import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileEngine } from '../../../filters/rbac/engine.ts';
import { compilePolicy } from '../../../filters/rbac/predicate.ts';
import { Rules } from '../../../filters/rbac/schema.ts';
import { readConfig, requestHead, TestStream } from '../../support/filter-harness.ts';

/** Few words, so that rules and requests collide often, with shared prefixes and case variants. */
const word = fc.constantFrom('a', 'ab', 'abc', 'ABC', 'b', 'ba', '', 'é');
const path = fc
  .tuple(fc.constantFrom('/', '/a', '/a/b', '/a/bc', '/b'), fc.constantFrom('', '?a', '#b', '?q=/a/b'))
  .map((parts) => parts.join(''));
const ip = fc.constantFrom('10.0.0.1', '10.0.1.1', '10.1.0.1', '11.0.0.1', '::1', '::ffff:10.0.0.1', '2001:db8::1');
const range = fc.oneof(
  fc.record({ address_prefix: fc.constantFrom('10.0.0.1', '10.1.0.0', '11.0.0.0'), prefix_len: fc.nat(32) }),
  fc.record({ address_prefix: fc.constantFrom('::1', '2001:db8::'), prefix_len: fc.nat(128) }),
);
const notEmpty = word.filter((text) => text !== '');
const stringMatcher = fc.oneof(
  fc.record({ exact: word, ignore_case: fc.boolean() }),
  fc.record({ prefix: notEmpty, ignore_case: fc.boolean() }),
  fc.record({ suffix: notEmpty }),
  fc.record({ contains: notEmpty }),
  fc.constantFrom('a.*', 'ab|ba', 'a[bc]+', '/a/.*').map((regex) => ({ safe_regex: { regex } })),
);
const pathMatcher = fc.oneof(
  fc.constantFrom('/', '/a', '/a/b').map((exact) => ({ path: { exact } })),
  fc.constantFrom('/', '/a', '/a/').map((prefix) => ({ path: { prefix } })),
  stringMatcher.map((matcher) => ({ path: matcher })),
);
const headerMatcher = fc
  .tuple(
    fc.constantFrom('x-a', 'x-b', ':method', ':path'),
    fc.oneof(
      stringMatcher.map((matcher) => ({ string_match: matcher })),
      word.map((value) => ({ exact_match: value })),
      notEmpty.map((value) => ({ prefix_match: value })),
      fc.boolean().map((value) => ({ present_match: value })),
      fc.constant({ safe_regex_match: { regex: 'a.*' } }),
      fc.constant({}),
    ),
    fc.record({ invert_match: fc.boolean(), treat_missing_header_as_empty: fc.boolean() }),
  )
  .map(([name, match, flags]) => ({ name, ...match, ...flags }));

const metadata = fc
  .tuple(fc.constantFrom(['k'], ['list'], ['deep', 'k']), stringMatcher, fc.boolean(), fc.boolean())
  .map(([path, matcher, isList, invert]) => ({
    filter: 'ns',
    path: path.map((key) => ({ key })),
    value: isList ? { list_match: { one_of: { string_match: matcher } } } : { string_match: matcher },
    invert,
  }));
const mtls = fc
  .oneof(
    fc.constant({ any_validated_client_certificate: true }),
    fc
      .tuple(fc.constantFrom('URI', 'DNS'), stringMatcher)
      .map(([san_type, matcher]) => ({ san_matcher: { san_type, matcher } })),
  )
  .map((fields) => {
    const type = 'type.googleapis.com/envoy.extensions.rbac.principals.mtls_authenticated.v3.Config';
    return { custom: { name: 'mtls', typed_config: { '@type': type, ...fields } } };
  });

const permission = fc.letrec((tie) => ({
  rule: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant({ any: true }),
    headerMatcher.map((header) => ({ header })),
    pathMatcher.map((url_path) => ({ url_path })),
    range.map((destination_ip) => ({ destination_ip })),
    fc.constantFrom(80, 443).map((destination_port) => ({ destination_port })),
    fc.constant({ destination_port_range: { start: 80, end: 443 } }),
    stringMatcher.map((requested_server_name) => ({ requested_server_name })),
    metadata.map((matcher) => ({ metadata: matcher })),
    fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((rules) => ({ and_rules: { rules } })),
    fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((rules) => ({ or_rules: { rules } })),
    tie('rule').map((rule) => ({ not_rule: rule })),
  ),
})).rule;

const principal = fc.letrec((tie) => ({
  id: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant({ any: true }),
    headerMatcher.map((header) => ({ header })),
    range.map((direct_remote_ip) => ({ direct_remote_ip })),
    range.map((remote_ip) => ({ remote_ip })),
    range.map((source_ip) => ({ source_ip })),
    fc.option(stringMatcher, { nil: undefined }).map((principal_name) => ({ authenticated: { principal_name } })),
    pathMatcher.map((url_path) => ({ url_path })),
    metadata.map((matcher) => ({ metadata: matcher })),
    mtls,
    fc.array(tie('id'), { minLength: 1, maxLength: 3 }).map((ids) => ({ and_ids: { ids } })),
    fc.array(tie('id'), { minLength: 1, maxLength: 3 }).map((ids) => ({ or_ids: { ids } })),
    tie('id').map((id) => ({ not_id: id })),
  ),
})).id;

const policy = fc.record({
  permissions: fc.array(permission, { minLength: 1, maxLength: 2 }),
  principals: fc.array(principal, { minLength: 1, maxLength: 2 }),
});

const optionalWord = fc.option(word, { nil: undefined });
const request = fc.record({
  path,
  method: fc.constantFrom('GET', 'POST', 'a'),
  a: optionalWord,
  b: fc.array(word, { maxLength: 2 }),
  peer: ip,
  remoteAddress: ip,
  local: ip,
  localPort: fc.constantFrom(79, 80, 442, 443),
  serverName: word,
  metadata: optionalWord,
  isVerified: fc.boolean(),
  sans: fc.option(fc.array(word, { maxLength: 2 }), { nil: undefined }),
});

type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

function streamOf(facts: Request): TestStream {
  const fields: Record<string, string | string[]> = { ':path': facts.path, ':method': facts.method, 'x-b': facts.b };
  if (facts.a !== undefined) fields['x-a'] = facts.a;
  const { peer, remoteAddress, local, localPort, serverName } = facts;
  const stream = new TestStream(requestHead(fields), {
    peer,
    remoteAddress,
    local,
    localPort,
    serverName,
    ...(facts.sans !== undefined && {
      tls: {
        version: 'TLSv1.3',
        cipher: '',
        alpn: '',
        peerVerified: facts.isVerified,
        peerUriSans: facts.sans,
        peerDnsSans: ['ab'],
        peerSubject: 'CN=a',
      },
    }),
  });
  if (facts.metadata !== undefined) {
    stream.setMetadata('ns', 'k', facts.metadata);
    stream.setMetadata('ns', 'list', [facts.metadata, 5, facts.a ?? null]);
    stream.setMetadata('ns', 'deep', { k: facts.a ?? [facts.metadata] });
  }
  return stream;
}

describe('the policy index', () => {
  test('finds the policy that evaluating one after the other finds', () => {
    let hits = 0;
    fc.assert(
      fc.property(
        fc.array(policy, { minLength: 1, maxLength: 30 }),
        fc.array(request, { minLength: 1, maxLength: 10 }),
        (policies, requests) => {
          const rules = readConfig(Rules, {
            policies: Object.fromEntries(policies.map((entry, i) => [`p${String(i).padStart(3, '0')}`, entry])),
          });
          const engine = compileEngine(rules);
          const naive = engine.policyNames.map((name) => compilePolicy(rules.policies[name] as never).matches);
          for (const facts of requests) {
            const stream = streamOf(facts);
            const expected = naive.findIndex((matches) => matches(stream.request, stream));
            expect(engine.firstMatch(stream.request, stream)).toBe(expected);
            if (expected > 0) hits++;
          }
        },
      ),
      { numRuns: 1500 },
    );
    expect(hits).toBeGreaterThan(100);
  });

  test('evaluates policies in the byte order of their names', () => {
    const any = { permissions: [{ any: true }], principals: [{ any: true }] };
    const names = ['b', 'B', 'a-2', 'a-10', 'é', 'z', '\u{1f600}', '\uff5e'];
    const engine = compileEngine(readConfig(Rules, { policies: Object.fromEntries(names.map((name) => [name, any])) }));
    expect(engine.policyNames).toEqual(['B', 'a-10', 'a-2', 'b', 'z', 'é', '\uff5e', '\u{1f600}']);
    const stream = new TestStream(requestHead());
    expect(engine.firstMatch(stream.request, stream)).toBe(0);
  });
});
