import { describe, expect, test } from 'vitest';
import { networkRbac } from '../../../filters/rbac/network.ts';
import { NetworkFilterHarness } from '../../support/filter-harness.ts';

const ANY = [{ any: true }];
const fromLab = { direct_remote_ip: { address_prefix: '192.0.2.0', prefix_len: 24 } };
const denyLab = { action: 'DENY', policies: { 'no lab': { permissions: ANY, principals: [fromLab] } } };
const readsMetadata = {
  action: 'DENY',
  policies: {
    drop: {
      permissions: [{ metadata: { filter: 'sql', path: [{ key: 'drop' }], value: { bool_match: true } } }],
      principals: ANY,
    },
  },
};

describe('envoy.filters.network.rbac', () => {
  test('refuses the connection and names the policy', () => {
    const filter = new NetworkFilterHarness(networkRbac, { stat_prefix: 'db.', rules: denyLab });
    expect(filter.connect({ peer: '192.0.2.9' }).verdict).toEqual({
      kind: 'stop',
      details: 'rbac_access_denied_matched_policy[no_lab]',
    });
    expect(filter.connect({ peer: '198.51.100.9' }).verdict).toBeUndefined();
    expect(filter.stat('db.rbac.denied')).toBe(1);
    expect(filter.stat('db.rbac.allowed')).toBe(1);
    expect(filter.stat('db.rbac.shadow_denied')).toBe(0);
  });

  test('shadow rules count and leave their result', () => {
    const filter = new NetworkFilterHarness(networkRbac, {
      stat_prefix: 'db',
      shadow_rules: denyLab,
      shadow_rules_stat_prefix: 'trial',
    });
    const { stream, verdict } = filter.connect({ peer: '192.0.2.9' });
    expect(verdict).toBeUndefined();
    expect(stream.getMetadata('envoy.filters.network.rbac')).toEqual({
      trialshadow_effective_policy_id: 'no lab',
      trialshadow_engine_result: 'denied',
    });
    expect(filter.stat('db.rbac.trial.shadow_denied')).toBe(1);
  });

  test('delay_deny holds a refused connection', async () => {
    const filter = new NetworkFilterHarness(networkRbac, { stat_prefix: 'db', rules: denyLab, delay_deny: '0.03s' });
    const begin = performance.now();
    expect(await filter.connect({ peer: '192.0.2.9' }).verdict).toMatchObject({ kind: 'stop' });
    expect(performance.now() - begin).toBeGreaterThan(25);
    expect(filter.connect().verdict).toBeUndefined();
  });

  test('rules on metadata are decided on the first bytes, or on all with CONTINUOUS', () => {
    const chunk = Buffer.from('x');
    const once = new NetworkFilterHarness(networkRbac, { stat_prefix: 'db', rules: readsMetadata });
    const first = once.connect().stream;
    expect(once.hooks.onData?.(chunk, false, first)).toBeUndefined();
    first.setMetadata('sql', 'drop', true);
    expect(once.hooks.onData?.(chunk, false, first)).toBeUndefined();
    expect(once.stat('db.rbac.allowed')).toBe(1);

    const always = new NetworkFilterHarness(networkRbac, {
      stat_prefix: 'db',
      rules: readsMetadata,
      enforcement_type: 'CONTINUOUS',
    });
    const second = always.connect().stream;
    expect(always.hooks.onData?.(chunk, false, second)).toBeUndefined();
    second.setMetadata('sql', 'drop', true);
    expect(always.hooks.onData?.(chunk, false, second)).toMatchObject({ kind: 'stop' });
  });

  test('refuses rules on headers, which a connection does not have', () => {
    const rules = { policies: { a: { permissions: [{ not_rule: { header: { name: 'x' } } }], principals: ANY } } };
    expect(() => new NetworkFilterHarness(networkRbac, { stat_prefix: 'db', rules })).toThrow(
      'rules.policies.a: a header or url_path cannot be known by a network filter',
    );
  });
});
