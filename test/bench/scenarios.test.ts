import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findDirect } from '../../bench/peers/direct.ts';
import { findEnvoy } from '../../bench/peers/envoy.ts';
import { findHaproxy } from '../../bench/peers/haproxy.ts';
import { findNginx } from '../../bench/peers/nginx.ts';
import type { FoundPeer } from '../../bench/peers/peer.ts';
import { pipePath } from '../../bench/pipe-path.ts';
import { makeFixtures } from '../../bench/policies/fixtures.ts';
import { checkoutRoot } from '../../bench/run/root.ts';
import type { Scenario } from '../../bench/scenario.ts';
import { envoyConfig, outriggerConfig, scenarioText } from '../../bench/scenario-config.ts';
import { SCENARIOS, selectScenarios } from '../../bench/scenarios.ts';
import { builtinRegistry } from '../../filters/index.ts';
import { loadConfig } from '../../src/config/load.ts';

const RUN = {
  listenPort: 21_001,
  backendPort: 21_002,
  directory: '/nowhere',
  fixtures: { folder: '/nowhere', jwks: '{"keys":[]}', token: 'a.b.c' },
  companions: { rateLimit: 21_003, collector: 21_004 },
};
/** One scenario for each configuration that there is. */
const DISTINCT = [...new Map(SCENARIOS.map((scenario) => [outriggerConfig({ scenario, ...RUN }), scenario])).values()];

function named(name: string): Scenario {
  return SCENARIOS.find((scenario) => scenario.name === name) as Scenario;
}

describe('bench scenarios', () => {
  it.each(DISTINCT.map((scenario) => [scenario.name, scenario] as const))(
    '%s is a valid configuration',
    (name, scenario) => {
      const text = outriggerConfig({ scenario, ...RUN });
      const { bootstrap } = loadConfig(`${name}.yaml`, { registry: builtinRegistry(), text });
      expect(bootstrap.static_resources?.listeners).toHaveLength(1);
      const { policies, pipes } = scenario;
      for (const [port, isPipe] of [
        [RUN.listenPort, pipes?.downstream],
        [RUN.backendPort, pipes?.upstream],
      ] as const) {
        const address = isPipe === true ? `unix:${pipePath(port)}` : `127.0.0.1:${port}`;
        const isCanonical = policies !== undefined || text.includes('static_resources');
        if (isCanonical) expect(text).toMatch(new RegExp(`"?port_value"?: ${port}`));
        else expect(text).toContain(address);
      }
    },
  );

  it('are given to Envoy in canonical form, with the ports of the run', () => {
    const canonical = parse(envoyConfig({ scenario: named('mix_all'), ...RUN }));
    const [listener] = canonical.static_resources.listeners;
    expect(listener.address.socket_address.port_value).toBe(RUN.listenPort);
    const manager = listener.filter_chains[0].filters.at(-1).typed_config;
    expect(manager.http_filters.map((filter: { name: string }) => filter.name.split('.').at(-1))).toEqual([
      'health_check',
      'cors',
      'rbac',
      'local_ratelimit',
      'ip_tagging',
      'header_to_metadata',
      'header_mutation',
      'router',
    ]);
    expect(manager.access_log).toHaveLength(1);
  });

  it.each([
    ['h2_4x32', 'HTTP2', { http2_protocol_options: {} }],
    ['h2_mix_all', 'HTTP2', { http2_protocol_options: {} }],
    ['h1_h2', 'HTTP1', { http2_protocol_options: {} }],
    ['h2_h1', 'HTTP2', undefined],
    ['grpc_unary', undefined, { http2_protocol_options: {} }],
  ])('%s speaks the protocols of its name', (name, codec, upstream) => {
    const { static_resources } = parse(envoyConfig({ scenario: named(name), ...RUN }));
    const manager = static_resources.listeners[0].filter_chains[0].filters.at(-1).typed_config;
    expect(manager.codec_type).toBe(codec);
    const options: Record<string, { explicit_http_config: unknown }> | undefined =
      static_resources.clusters[0].typed_extension_protocol_options;
    expect(Object.values(options ?? {})[0]?.explicit_http_config).toEqual(upstream);
  });

  it('say which peers can do them', () => {
    const of = (name: string, found: FoundPeer) => 'peer' in found && found.peer.supports(named(name));
    expect(of('h2_4x32', findDirect())).toBe(true);
    // The load and the backend do not speak the same there.
    expect(of('h1_h2', findDirect()) || of('h2_h1', findDirect())).toBe(false);
    // nginx speaks gRPC only to HTTP/2 backends.
    expect(of('h2_4x32', findNginx())).toBe(false);
    expect(of('h2_mix_all', findHaproxy())).toBe(false);
  });

  it('deny by the last of as many policies as their name says', () => {
    for (const count of [1, 100, 1000]) {
      const rules = parse(scenarioText(named(`rbac_reject_${count}`))).filters[0].rbac.deny;
      expect(rules).toHaveLength(count);
      expect(rules.at(-1).source).toBe('127.0.0.0/8');
      const names = rules.map((rule: { name: string }) => rule.name);
      expect(names).toEqual([...names].sort());
      expect(new Set(rules.map((rule: { source: string }) => rule.source)).size).toBe(count);
    }
  });

  it('deny as many strangers as their name says, and let the load pass', () => {
    for (const count of [1, 100, 1000, 10_000]) {
      const { policies, action } = parse(scenarioText(named(`net_rbac_reject_${count}`))).filters[0].typed_config.rules;
      const addresses: string[] = policies.strangers.principals.map(
        (principal: { source_ip: { address_prefix: string } }) => principal.source_ip.address_prefix,
      );
      expect(action).toBe('DENY');
      expect(new Set(addresses).size).toBe(count);
      expect(addresses.every((address) => address.startsWith('10.'))).toBe(true);
    }
  });

  it('stand behind TLS or the inspector as they stand without', () => {
    const canonical = (name: string) => parse(envoyConfig({ scenario: named(name), ...RUN })).static_resources;
    for (const [name, plain] of [
      ['tls_tcp', 'tcp'],
      ['tls_http', 'http'],
    ] as const) {
      const [listener] = canonical(name).listeners;
      expect(listener.filter_chains[0].transport_socket.name).toBe('envoy.transport_sockets.tls');
      expect(listener.filter_chains[0].filters).toEqual(canonical(plain).listeners[0].filter_chains[0].filters);
    }
    const [inspected] = canonical('http_inspect').listeners;
    expect(inspected.listener_filters).toHaveLength(1);
    expect({ ...inspected, listener_filters: undefined }).toEqual(canonical('http').listeners[0]);
  });

  const envoy = findEnvoy(checkoutRoot() ?? '.');
  it.skipIf('missing' in envoy)('are accepted by Envoy', { timeout: 60_000 }, async () => {
    if ('missing' in envoy) return;
    const directory = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
    try {
      const fixtures = await makeFixtures(checkoutRoot() ?? '.', join(directory, 'certificates'), SCENARIOS);
      for (const scenario of DISTINCT) {
        const command = await envoy.peer.prepare({ ...RUN, fixtures, scenario, directory });
        const args = [...(command?.args ?? []), '--mode', 'validate'];
        const { status, stderr } = spawnSync(command?.command ?? '', args, { encoding: 'utf8', cwd: directory });
        expect(status, `${scenario.name}: ${stderr}`).toBe(0);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('a selection', () => {
  it('names scenarios, groups and patterns, and comes out in the order of the table', () => {
    const names = (parts: string[]) => selectScenarios(parts).map((scenario) => scenario.name);
    expect(names(['mix_2', 'http'])).toEqual(['http', 'mix_2']);
    expect(names(['quick'])).toEqual(['tcp', 'http', 'mix_2', 'h2_4x32']);
    expect(names(['iptag_*'])).toEqual(['iptag_1', 'iptag_5', 'iptag_10']);
    expect(names(['all'])).toHaveLength(SCENARIOS.length);
  });

  it('that selects nothing is an error', () => {
    expect(() => selectScenarios(['http', 'htp'])).toThrow(/"htp"/);
    expect(() => selectScenarios(['ht.p'])).toThrow(/"ht\.p"/);
  });

  it('finds no two scenarios of one name', () => {
    expect(new Set(SCENARIOS.map((scenario) => scenario.name)).size).toBe(SCENARIOS.length);
  });
});
