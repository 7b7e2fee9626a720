import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { builtinRegistry } from '../../../filters/index.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { expandSidecar } from '../../../src/config/sidecar/index.ts';

const registry = builtinRegistry();
const identity = { certificate: 'svid.pem', key: 'key.pem', authority: 'bundle.pem', trust_domain: 'shop.test' };

interface Chain {
  name: string;
  filter_chain_match?: Record<string, unknown>;
  transport_socket?: unknown;
}
interface Listener {
  name: string;
  address: { socket_address: Record<string, unknown> };
  use_original_dst?: boolean;
  filter_chains: Chain[];
  default_filter_chain?: Chain;
}

function expand(intercept: object): { listeners: Listener[]; clusters: Record<string, unknown>[] } {
  const { static_resources: resources } = expandSidecar({ intercept });
  return resources as { listeners: Listener[]; clusters: Record<string, unknown>[] };
}

/** Whether each chain is encrypted, by name. */
function chainsOf(listener: Listener | undefined): Record<string, boolean> {
  const chains = [...(listener?.filter_chains ?? []), listener?.default_filter_chain].filter(
    (chain) => chain !== undefined,
  );
  return Object.fromEntries(chains.map(({ name, transport_socket: socket }) => [name, socket !== undefined]));
}

test('the example is valid', () => {
  const file = join(import.meta.dirname, '../../../examples/intercept/sidecar.yaml');
  const { bootstrap } = loadConfig(file, { registry, text: readFileSync(file, 'utf8') });
  expect(bootstrap.static_resources.listeners.map(({ name }) => name)).toEqual(['virtual_inbound', 'virtual_outbound']);
});

test('without anything said, connections pass as they are, over both families, and never to the proxy itself', () => {
  const { listeners, clusters } = expand({});
  const [inbound, outbound] = listeners;
  expect(inbound?.address.socket_address).toEqual({ address: '::', port_value: 15006, ipv4_compat: true });
  expect(outbound?.address.socket_address.port_value).toBe(15001);
  expect(outbound?.use_original_dst).toBe(true);
  expect(chainsOf(inbound)).toEqual({ black_hole: false, plain: false });
  expect(chainsOf(outbound)).toEqual({ black_hole: false, passthrough: false });
  expect(clusters.map(({ name }) => name)).toEqual(['inbound_passthrough', 'outbound_passthrough', 'black_hole']);
  expect(clusters[0]).toMatchObject({ upstream_bind_config: { source_address: { address: '127.0.0.6' } } });
});

describe('mtls', () => {
  const ports = { 8080: {}, 9000: { protocol: 'tcp' } };

  test('strict, the default with an identity, has chains for encrypted connections alone', () => {
    expect(chainsOf(expand({ identity, inbound: { ports } }).listeners[0])).toEqual({
      black_hole: false,
      '8080_mtls': true,
      '9000_mtls': true,
      mtls: true,
    });
  });

  test('strict lets clear text come to plain_ports', () => {
    const inbound = { ports, plain_ports: [8080, 8081] };
    expect(chainsOf(expand({ identity, inbound }).listeners[0])).toMatchObject({
      '8080': false,
      '8080_mtls': true,
      '8081': false,
      '8081_mtls': true,
    });
  });

  test('permissive takes both', () => {
    const inbound = { ports, mtls: 'permissive' };
    expect(chainsOf(expand({ identity, inbound }).listeners[0])).toMatchObject({
      '8080': false,
      '8080_mtls': true,
      plain: false,
      mtls: true,
    });
  });
});

test('connections within the mesh are encrypted', () => {
  const { listeners, clusters } = expand({ identity, outbound: { mesh: ['10.0.0.0/8'], ports: { 8080: {} } } });
  const mesh = listeners[1]?.filter_chains.find(({ name }) => name === 'mesh');
  expect(mesh?.filter_chain_match).toEqual({ prefix_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] });
  expect(clusters.find(({ name }) => name === 'outbound_mesh')).toHaveProperty('transport_socket');
});

test.each([
  [{ inbound: { mtls: 'strict' } }, 'intercept.inbound.mtls: needs identity'],
  [{ outbound: { mesh: ['10.0.0.0/8'] } }, 'intercept.outbound.mesh: needs identity'],
  [{ outbound: { ports: { 8080: {} } } }, 'intercept.outbound.ports: needs mesh'],
  [{ outbound: { port: 15006 } }, 'intercept.outbound.port: is the port of inbound, too'],
  [{ inbound: { ports: { http: {} } } }, '"http" is not a port'],
])('%j: %s', (intercept, message) => {
  expect(() => expand(intercept)).toThrow(message);
});
