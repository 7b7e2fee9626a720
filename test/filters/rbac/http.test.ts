import { describe, expect, test } from 'vitest';
import { httpRbac } from '../../../filters/rbac/http.ts';
import { HttpFilterHarness, type StreamFacts } from '../../support/filter-harness.ts';

const ANY = [{ any: true }];

/** Rules with one policy for a permission or a principal. */
function rulesOf(part: { permission?: unknown; principal?: unknown }, action = 'ALLOW') {
  const policy = {
    permissions: part.permission === undefined ? ANY : [part.permission],
    principals: part.principal === undefined ? ANY : [part.principal],
  };
  return { rules: { action, policies: { only: policy } } };
}

function allows(part: { permission?: unknown; principal?: unknown }, fields = {}, facts: StreamFacts = {}): boolean {
  return new HttpFilterHarness(httpRbac, rulesOf(part)).request(fields, facts).verdict === undefined;
}

describe('envoy.filters.http.rbac', () => {
  test('denies with the name of the policy that matched', () => {
    const filter = new HttpFilterHarness(httpRbac, {
      rules: {
        action: 'DENY',
        policies: {
          'no admin': { permissions: [{ url_path: { path: { prefix: '/admin' } } }], principals: ANY },
          'a later one': { permissions: ANY, principals: [{ header: { name: 'x-bad' } }] },
        },
      },
    });
    expect(filter.request({ ':path': '/admin/x?y' }).verdict).toEqual({
      kind: 'reply',
      status: 403,
      body: 'RBAC: access denied',
      headers: {},
      flag: undefined,
      details: 'rbac_access_denied_matched_policy[no_admin]',
      grpcStatus: undefined,
    });
    const { stream, verdict } = filter.request({ ':path': '/admin', 'x-bad': '1' });
    expect(verdict).toMatchObject({ details: 'rbac_access_denied_matched_policy[a_later_one]' });
    expect(stream.getMetadata('envoy.filters.http.rbac')).toEqual({
      enforced_effective_policy_id: 'a later one',
      enforced_engine_result: 'denied',
    });
    expect(filter.request({ ':path': '/public' }).verdict).toBeUndefined();
    expect(filter.stat('http.test.rbac.denied')).toBe(2);
    expect(filter.stat('http.test.rbac.allowed')).toBe(1);
    expect(filter.stat('http.test.rbac.shadow_allowed')).toBe(0);
  });

  test('an allow list denies what no policy matches, and everything when it is empty', () => {
    const filter = new HttpFilterHarness(httpRbac, rulesOf({ permission: { header: { name: 'x-key' } } }));
    expect(filter.request({ 'x-key': 'k' }).verdict).toBeUndefined();
    expect(filter.request().verdict).toMatchObject({ details: 'rbac_access_denied_matched_policy[none]' });
    expect(new HttpFilterHarness(httpRbac, { rules: {} }).request().verdict).toMatchObject({ status: 403 });
  });

  test('without rules lets everything through and has no hook', () => {
    expect(new HttpFilterHarness(httpRbac, {}).hooks.onRequest).toBeUndefined();
  });

  test('LOG lets everything through and leaves a hint for access logs', () => {
    const filter = new HttpFilterHarness(httpRbac, rulesOf({ permission: { header: { name: 'x-log' } } }, 'LOG'));
    const logged = filter.request({ 'x-log': '1' });
    expect(logged.verdict).toBeUndefined();
    expect(logged.stream.getMetadata('envoy.common', 'access_log_hint')).toBe(true);
    expect(filter.request().stream.getMetadata('envoy.common', 'access_log_hint')).toBe(false);
  });

  test('shadow rules count and leave their result, and never deny', () => {
    const filter = new HttpFilterHarness(httpRbac, {
      shadow_rules: rulesOf({ permission: { header: { name: 'x-key' } } }).rules,
      shadow_rules_stat_prefix: 'trial',
      track_per_rule_stats: true,
    });
    const passed = filter.request({ 'x-key': '1' });
    const refused = filter.request();
    expect([passed.verdict, refused.verdict]).toEqual([undefined, undefined]);
    expect(passed.stream.getMetadata('envoy.filters.http.rbac')).toEqual({
      trialshadow_effective_policy_id: 'only',
      trialshadow_engine_result: 'allowed',
    });
    expect(refused.stream.getMetadata('envoy.filters.http.rbac')).toEqual({ trialshadow_engine_result: 'denied' });
    expect(filter.stat('http.test.rbac.trial.shadow_allowed')).toBe(1);
    expect(filter.stat('http.test.rbac.trial.shadow_denied')).toBe(1);
    expect(filter.stat('http.test.rbac.trial.policy.only.shadow_allowed')).toBe(1);
  });

  test('counts per policy when asked to', () => {
    const filter = new HttpFilterHarness(httpRbac, {
      ...rulesOf({ permission: { header: { name: 'x-bad' } } }, 'DENY'),
      rules_stat_prefix: 'edge',
      track_per_rule_stats: true,
    });
    filter.request({ 'x-bad': '1' });
    filter.request();
    expect(filter.stat('http.test.rbac.edge.policy.only.denied')).toBe(1);
    expect(filter.stat('http.test.rbac.edge.policy.only.allowed')).toBeUndefined();
    expect(filter.stat('http.test.rbac.edge.allowed')).toBe(1);
  });

  test('the most specific route override replaces the rules, and an empty one disables them', () => {
    const deny = rulesOf({}, 'DENY');
    const override = { rbac: rulesOf({ permission: { header: { name: 'x-route' } } }) };
    const filter = new HttpFilterHarness(httpRbac, deny, { routeConfigs: [{ rbac: deny }, override] });
    expect(filter.request({ 'x-route': '1' }).verdict).toBeUndefined();
    expect(filter.request().verdict).toMatchObject({ status: 403 });
    expect(new HttpFilterHarness(httpRbac, deny, { routeConfigs: [{}] }).hooks.onRequest).toBeUndefined();
  });
});

describe('permissions', () => {
  test('url_path ignores query and fragment, a header match on :path does not', () => {
    const urlPath = { url_path: { path: { exact: '/a' } } };
    expect(allows({ permission: urlPath }, { ':path': '/a?b' })).toBe(true);
    expect(allows({ permission: urlPath }, { ':path': '/a#b?c' })).toBe(true);
    expect(allows({ permission: urlPath }, { ':path': '/a/b' })).toBe(false);
    const header = { header: { name: ':path', string_match: { exact: '/a' } } };
    expect(allows({ permission: header }, { ':path': '/a?b' })).toBe(false);
  });

  test('destination_ip, destination_port and destination_port_range see the local side', () => {
    const range = { destination_ip: { address_prefix: '10.1.0.0', prefix_len: 16 } };
    expect(allows({ permission: range }, {}, { local: '10.1.2.3' })).toBe(true);
    expect(allows({ permission: range }, {}, { local: '10.2.2.3' })).toBe(false);
    expect(allows({ permission: { destination_port: 443 } }, {}, { localPort: 443 })).toBe(true);
    const ports = { destination_port_range: { start: 80, end: 90 } };
    expect([79, 80, 89, 90].map((localPort) => allows({ permission: ports }, {}, { localPort }))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  test('requested_server_name, and_rules, or_rules and not_rule combine', () => {
    const permission = {
      and_rules: {
        rules: [
          { requested_server_name: { suffix: '.example' } },
          { or_rules: { rules: [{ destination_port: 1 }, { destination_port: 2 }] } },
          { not_rule: { header: { name: 'x-no' } } },
        ],
      },
    };
    const facts = { serverName: 'a.example', localPort: 2 };
    expect(allows({ permission }, {}, facts)).toBe(true);
    expect(allows({ permission }, { 'x-no': '' }, facts)).toBe(false);
    expect(allows({ permission }, {}, { ...facts, localPort: 3 })).toBe(false);
    expect(allows({ permission }, {}, { ...facts, serverName: 'a.test' })).toBe(false);
  });

  test('sourced_metadata may ask the route', () => {
    const metadata_matcher = { filter: 'ns', path: [{ key: 'a' }, { key: 'b' }], value: { bool_match: true } };
    const permission = { sourced_metadata: { metadata_matcher, metadata_source: 'ROUTE' } };
    const metadata = { ns: { a: { b: true } } };
    expect(allows({ permission }, {}, { route: { metadata } })).toBe(true);
    expect(allows({ permission }, {}, { route: {} })).toBe(false);
    expect(allows({ permission })).toBe(false);
  });
});

describe('principals', () => {
  const tls = {
    version: 'TLSv1.3',
    cipher: '',
    alpn: '',
    peerVerified: true,
    peerUriSans: ['spiffe://td/ns/a/sa/b'],
    peerDnsSans: ['b.a.svc'],
    peerSubject: 'CN=b',
  };

  test('direct_remote_ip and source_ip see the peer, remote_ip the client behind trusted hops', () => {
    const range = { address_prefix: '192.0.2.0', prefix_len: 24 };
    const facts = { peer: '192.0.2.1', remoteAddress: '198.51.100.1' };
    expect(allows({ principal: { direct_remote_ip: range } }, {}, facts)).toBe(true);
    expect(allows({ principal: { source_ip: range } }, {}, facts)).toBe(true);
    expect(allows({ principal: { remote_ip: range } }, {}, facts)).toBe(false);
    const client = { address_prefix: '198.51.100.0', prefix_len: 24 };
    expect(allows({ principal: { remote_ip: client } }, {}, facts)).toBe(true);
  });

  test('authenticated matches any name of the certificate, and any certificate without a name', () => {
    const named = (exact: string) => ({ authenticated: { principal_name: { exact } } });
    for (const name of ['spiffe://td/ns/a/sa/b', 'b.a.svc', 'CN=b']) {
      expect(allows({ principal: named(name) }, {}, { tls })).toBe(true);
      expect(allows({ principal: named(name) })).toBe(false);
    }
    expect(allows({ principal: named('spiffe://td/ns/a/sa/c') }, {}, { tls })).toBe(false);
    expect(allows({ principal: { authenticated: {} } }, {}, { tls })).toBe(true);
    expect(allows({ principal: { authenticated: {} } })).toBe(false);
  });

  test('metadata and filter_state match what earlier filters left', () => {
    const metadata = { metadata: { filter: 'jwt', path: [{ key: 'sub' }], value: { string_match: { exact: 'me' } } } };
    const state = { filter_state: { key: 'tenant', string_match: { prefix: 'a' } } };
    const filter = new HttpFilterHarness(httpRbac, rulesOf({ principal: { or_ids: { ids: [metadata, state] } } }));
    const { stream, verdict } = filter.request();
    expect(verdict).toMatchObject({ status: 403 });
    stream.setMetadata('jwt', 'sub', 'me');
    expect(filter.hooks.onRequest?.(stream.request, stream)).toBeUndefined();
    const other = filter.request().stream;
    other.setFilterState('tenant', 'acme');
    expect(filter.hooks.onRequest?.(other.request, other)).toBeUndefined();
  });
});

describe('configuration errors', () => {
  test.each([
    [rulesOf({ permission: {} }), 'required'],
    [rulesOf({ permission: { any: false } }), 'must be true'],
    [rulesOf({ permission: { uri_template: {} } }), 'uri_template'],
    [rulesOf({ permission: { destination_port_range: { start: 9, end: 9 } } }), 'must be below'],
    [rulesOf({ permission: { destination_port: 70000 } }), 'out of range'],
    [{ rules: { policies: { a: { permissions: [], principals: ANY } } } }, 'at least 1'],
    [{ rules: { policies: { a: { permissions: ANY, principals: ANY, condition: {} } } } }, 'CEL'],
    [{ matcher: {} }, 'match trees'],
    [{ rulez: {} }, 'unknown field'],
  ])('refuses %j', (config, message) => {
    expect(() => new HttpFilterHarness(httpRbac, config)).toThrow(message);
  });
});
