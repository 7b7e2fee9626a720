import fc from 'fast-check';

/**
 * Random access rules in Envoy's grammar, and random requests of few words, so that they often meet. The listener's own
 * port is not known when rules are made: PORT stands for it, with one below and one above.
 */

export const PORT = { below: 1, own: 2, above: 3 } as const;

export const CLAIMS = 'envoy.filters.http.jwt_authn';

const word = fc.constantFrom('a', 'ab', 'abc', 'ABC', 'b', 'ba', 'a,b', 'é');
const oftenEmpty = fc.oneof({ weight: 8, arbitrary: word }, { weight: 1, arbitrary: fc.constant('') });
const stringMatcher = (text: fc.Arbitrary<string>): fc.Arbitrary<object> =>
  fc.oneof(
    fc.record({ exact: text, ignore_case: fc.boolean() }),
    fc.record({ prefix: text, ignore_case: fc.boolean() }),
    fc.record({ suffix: text, ignore_case: fc.boolean() }),
    fc.record({ contains: text, ignore_case: fc.boolean() }),
    fc
      .constantFrom('a.*', 'ab|ba', 'a[bc]+', '/a/.*', '(?i)abc', '.*', 'spiffe://[a-z.]+/.*')
      .map((regex) => ({ safe_regex: { regex } })),
  );
const words = stringMatcher(word);

const paths = fc.constantFrom('/', '/a', '/a/b', '/a/bc', '/A', '/b');
const pathMatcher = stringMatcher(paths).map((path) => ({ path }));

const TEMPLATE = 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';
const template = fc
  .constantFrom(
    '/',
    '/a',
    '/*',
    '/a/*',
    '/**',
    '/a/**',
    '/{x}',
    '/{x}/b',
    '/{x=a/*}',
    '/a/{y=**}',
    '/a/*c',
    '/*/',
    '/**c',
  )
  .map((path_template) => ({
    uri_template: { name: 'uri', typed_config: { '@type': TEMPLATE, path_template } },
  }));

const headerMatcher = fc
  .tuple(
    fc.constantFrom('x-a', 'x-b', ':method', ':path', ':authority', 'host', 'x-c'),
    fc.oneof(
      words.map((matcher) => ({ string_match: matcher })),
      fc.constantFrom('GET', 'PURGE', '/a', 'a.test').map((exact) => ({ string_match: { exact } })),
      fc.boolean().map((value) => ({ present_match: value })),
      fc.constantFrom([0, 5], [5, 10], [-1, 1]).map(([start, end]) => ({ range_match: { start, end } })),
      fc.constant({}),
    ),
    fc.record({ invert_match: fc.boolean(), treat_missing_header_as_empty: fc.boolean() }),
  )
  .map(([name, match, flags]) => ({ name, ...match, ...flags }));

const range = fc.oneof(
  fc.record({
    address_prefix: fc.constantFrom('127.0.0.1', '127.0.0.3', '10.0.0.1', '10.1.0.0'),
    prefix_len: fc.constantFrom(0, 8, 16, 30, 31, 32),
  }),
  fc.record({ address_prefix: fc.constantFrom('::1', '2001:db8::'), prefix_len: fc.constantFrom(0, 32, 128) }),
);

const value: fc.Arbitrary<object> = fc.oneof(
  words.map((matcher) => ({ string_match: matcher })),
  fc.boolean().map((present) => ({ present_match: present })),
  fc.boolean().map((bool) => ({ bool_match: bool })),
  fc.constant({ null_match: {} }),
  fc.constantFrom({ exact: 5 }, { range: { start: 1, end: 5 } }).map((matcher) => ({ double_match: matcher })),
  words.map((matcher) => ({ list_match: { one_of: { string_match: matcher } } })),
  fc.tuple(words, words).map((two) => ({ or_match: { value_matchers: two.map((m) => ({ string_match: m })) } })),
);

/** What a request may claim, as a token's payload would be: texts, lists, numbers, nested objects. */
const claimPath = fc.constantFrom(['sub'], ['payload', 'groups'], ['payload', 'level'], ['payload', 'realm', 'role']);
const metadata = fc
  .tuple(claimPath, value, fc.boolean())
  .map(([path, matcher, invert]) => ({ filter: CLAIMS, path: path.map((key) => ({ key })), value: matcher, invert }));
const routeMetadata = fc
  .tuple(value, fc.boolean())
  .map(([matcher, invert]) => ({ filter: 'route', path: [{ key: 'k' }], value: matcher, invert }));
const sourced = fc.oneof(
  metadata.map((matcher) => ({ metadata_matcher: matcher })),
  routeMetadata.map((matcher) => ({ metadata_matcher: matcher, metadata_source: 'ROUTE' })),
);

const names = fc.constantFrom('spiffe://test/a', 'spiffe://test/', 'spiffe://other/b', 'a.test', 'CN=c', 'CN=c,O=Acme');

const connectionPermissions = [
  fc.constant({ any: true }),
  range.map((destination_ip) => ({ destination_ip })),
  fc.constantFrom(...Object.values(PORT)).map((destination_port) => ({ destination_port })),
  fc
    .constantFrom([PORT.below, PORT.own], [PORT.own, PORT.above], [PORT.below, PORT.above])
    .map(([start, end]) => ({ destination_port_range: { start, end } })),
  stringMatcher(fc.constantFrom('a.test', 'a', '.test', 'b.test')).map((matcher) => ({
    requested_server_name: matcher,
  })),
];
const MTLS = 'type.googleapis.com/envoy.extensions.rbac.principals.mtls_authenticated.v3.Config';
const validated = fc
  .oneof(
    fc.constant({ any_validated_client_certificate: true }),
    fc
      .tuple(fc.constantFrom('URI', 'DNS'), stringMatcher(names))
      .map(([san_type, matcher]) => ({ san_matcher: { san_type, matcher } })),
  )
  .map((fields) => ({ custom: { name: 'mtls', typed_config: { '@type': MTLS, ...fields } } }));
const connectionPrincipals = [
  fc.constant({ any: true }),
  range.map((direct_remote_ip) => ({ direct_remote_ip })),
  range.map((remote_ip) => ({ remote_ip })),
  range.map((source_ip) => ({ source_ip })),
  fc.constant({ authenticated: {} }),
  validated,
  validated,
  stringMatcher(names).map((principal_name) => ({ authenticated: { principal_name } })),
];
const requestRules = [
  headerMatcher.map((header) => ({ header })),
  headerMatcher.map((header) => ({ header })),
  pathMatcher.map((url_path) => ({ url_path })),
  metadata.map((matcher) => ({ metadata: matcher })),
  sourced.map((matcher) => ({ sourced_metadata: matcher })),
];

/** Leaves joined by and, or, not under the names that permissions or principals have for them. */
function tree(leaves: fc.Arbitrary<object>[], and: string, or: string, not: string, list: string) {
  return fc.letrec<{ rule: object }>((tie) => ({
    rule: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(...leaves),
      fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((rules) => ({ [and]: { [list]: rules } })),
      fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((rules) => ({ [or]: { [list]: rules } })),
      tie('rule').map((rule) => ({ [not]: rule })),
    ),
  })).rule;
}

function rulesOf(permissions: fc.Arbitrary<object>[], principals: fc.Arbitrary<object>[], most: number) {
  const policy = fc.record({
    permissions: fc.array(tree(permissions, 'and_rules', 'or_rules', 'not_rule', 'rules'), {
      minLength: 1,
      maxLength: 2,
    }),
    principals: fc.array(tree(principals, 'and_ids', 'or_ids', 'not_id', 'ids'), { minLength: 1, maxLength: 2 }),
  });
  return fc.record({
    action: fc.constantFrom('ALLOW', 'DENY', 'DENY', 'ALLOW', 'LOG'),
    policies: fc
      .array(fc.tuple(fc.constantFrom('p', 'Q', 'r s', 'é', 'ab', 'a-2', 'a-10', 'z', 'y', 'x'), policy), {
        maxLength: most,
      })
      .map((entries) => Object.fromEntries(entries)),
  });
}

/** envoy.config.rbac.v3.RBAC for requests. */
export const requestRulesets = rulesOf(
  [...connectionPermissions, ...requestRules, template],
  [...connectionPrincipals, ...requestRules],
  6,
);

/** The same for connections, where nothing of HTTP is known. */
export const connectionRulesets = rulesOf(connectionPermissions, connectionPrincipals, 3);

/** How a client connects: its address, and over TLS its certificate and the name that it asks for. */
export interface Way {
  readonly from: string;
  readonly tls: boolean;
  readonly certificate: 'a' | 'b' | 'c' | undefined;
  readonly serverName: string;
}

export const ways: fc.Arbitrary<Way> = fc.record({
  from: fc.constantFrom('127.0.0.1', '127.0.0.2', '127.0.0.3'),
  tls: fc.boolean(),
  certificate: fc.constantFrom('a' as const, 'b' as const, 'c' as const, undefined),
  serverName: fc.constantFrom('a.test', 'b.test', ''),
});

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** A request's head beside the header that chooses its route. */
export const requests = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PURGE'),
  path: fc.tuple(paths, fc.constantFrom('', '', '?a', '?q=/a/b')).map(([path, query]) => path + query),
  host: fc.constantFrom('a.test', 'b'),
  forwardedFor: optional(fc.constantFrom('10.0.0.1', '10.1.0.1', '2001:db8::1', '127.0.0.9')),
  a: optional(oftenEmpty),
  b: fc.array(oftenEmpty, { maxLength: 2 }),
  c: optional(fc.constantFrom('5', '0', '-1', '9', 'x', ' 5')),
  sub: optional(word),
  payload: optional(
    fc.record({
      groups: fc.array(word, { maxLength: 3 }),
      level: fc.constantFrom(1, 5, null, true, false, 'a'),
      realm: fc.record({ role: word }),
    }),
  ),
});
export type Request = typeof requests extends fc.Arbitrary<infer T> ? T : never;
