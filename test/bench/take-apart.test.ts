import { expect, test } from 'vitest';
import type { Peer } from '../../bench/peers/peer.ts';
import { hasTls, httpFilters, scenarioFilters, withTlsOf } from '../../bench/profile/canonical.ts';
import type { ProfileOptions } from '../../bench/profile/run-profile.ts';
import { variantsOf } from '../../bench/profile/take-apart.ts';
import type { Scenario } from '../../bench/scenario.ts';
import { SCENARIOS } from '../../bench/scenarios.ts';

function scenarioNamed(name: string): Scenario {
  return SCENARIOS.find((one) => one.name === name) as Scenario;
}

function optionsFor(scenario: Scenario, supportsTcp = true): ProfileOptions {
  const peer: Peer = {
    name: 'envoy',
    version: '1',
    description: '',
    supports: ({ protocol }) => supportsTcp || protocol !== 'tcp',
    prepare: async () => undefined,
  };
  const canonical = scenarioFilters(scenario);
  return { root: '', peer, scenario, canonical, configName: '', durationS: 1, inside: false, command: '' };
}

const TLS = { name: 'envoy.transport_sockets.tls' };

test('each filter is left out in turn, and the router stays', () => {
  const { filters, plain } = variantsOf(optionsFor(scenarioNamed('mix_2')), []);
  const all = httpFilters(scenarioFilters(scenarioNamed('mix_2'))).map(({ name }) => name);
  expect(filters.map(({ filter }) => filter)).toEqual([...new Set(all)]);
  for (const { filter, changed } of filters) {
    expect(httpFilters(changed.canonical).map(({ name }) => name)).toEqual(all.filter((name) => name !== filter));
    expect(JSON.stringify(changed.canonical)).toContain('envoy.filters.http.router');
  }
  expect(httpFilters(plain?.http.changed.canonical)).toEqual([]);
  expect(plain?.tcp.changed.scenario).toMatchObject({ protocol: 'tcp', bodyBytes: 100, connections: 32 });
});

test('TLS is left out of the scenario, and of a file', () => {
  const scenario = scenarioNamed('tls');
  const { withoutTls, plain } = variantsOf(optionsFor(scenario), []);
  expect(withoutTls?.changed.scenario?.tls).toBeUndefined();
  expect(plain?.http.changed.scenario?.tls).toBeUndefined();
  const canonical = { static_resources: { listeners: [{ filter_chains: [{ transport_socket: TLS, filters: [] }] }] } };
  const file = { ...optionsFor({ ...scenarioNamed('http'), tls: { downstream: 'tls' } }), canonical };
  expect(hasTls(canonical)).toBe(true);
  expect(hasTls(variantsOf(file, []).withoutTls?.changed.canonical)).toBe(false);
  expect(JSON.stringify(withTlsOf(canonical, { name: 'other' }))).toContain('other');
  expect(variantsOf(optionsFor(scenarioNamed('http')), []).withoutTls).toBeUndefined();
});

test('bodies of other sizes are run where the body is the backend’s', () => {
  const { sizes } = variantsOf(optionsFor(scenarioNamed('http')), [100, 16384, 16384]);
  expect(sizes.map(({ bytes, changed }) => [bytes, changed.scenario?.bodyBytes])).toEqual([[16384, 16384]]);
  expect(variantsOf(optionsFor(scenarioNamed('rbac_reject_1')), [16384]).sizes).toEqual([]);
  expect(variantsOf(optionsFor(scenarioNamed('grpc_unary')), [16384]).sizes).toEqual([]);
});

test('what a peer cannot do is not run, and the report says so', () => {
  const { plain, notes } = variantsOf(optionsFor(scenarioNamed('http'), false), []);
  expect(plain).toBeUndefined();
  expect(notes[0]).toContain('HTTP is not taken apart');
  expect(variantsOf(optionsFor(scenarioNamed('tcp')), []).notes).toEqual([]);
});
