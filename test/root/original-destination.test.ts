import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { LAUNCHER } from '../cli/run-cli.ts';
import { findEnvoy } from '../support/envoy.ts';
import { PROXY } from '../support/intercepted/pod.ts';
import { type Pod, TestNetwork, whyNoNamespaces } from '../support/netns.ts';

// Each call is a process of its own, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

/** Envoy's own configuration of interception: who gets a connection, by its original destination? Also asked of Envoy. */

/** A chain that says its name. */
function chain(name: string, match: string): string {
  const manager =
    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  const router = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
  const reply = `direct_response: { status: 200, body: { inline_string: "${name} %DOWNSTREAM_LOCAL_ADDRESS%" } }`;
  return `
    - filter_chain_match: ${match}
      filters:
      - name: http
        typed_config:
          "@type": ${manager}
          stat_prefix: ${name}
          local_reply_config: { body_format: { text_format_source: { inline_string: "${name} %DOWNSTREAM_LOCAL_ADDRESS%" } } }
          route_config: { virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, ${reply} }] }] }
          http_filters: [{ name: router, typed_config: { "@type": ${router} } }]`;
}

function listener(name: string, host: string, port: number, fields: string, ...chains: string[]): string {
  return `
  - name: ${name}
    address: { socket_address: { address: ${host}, port_value: ${port} } }
    ${fields}
    filter_chains:${chains.join('')}`;
}

const CONFIG = `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 15000 } } }
static_resources:
  listeners:${[
    listener(
      'virtual_outbound',
      '0.0.0.0',
      15001,
      'use_original_dst: true',
      chain('all', '{}'),
      chain('port-81', '{ destination_port: 81 }'),
      chain('range', '{ prefix_ranges: [{ address_prefix: 10.99.0.0, prefix_len: 24 }] }'),
      chain('narrow', '{ prefix_ranges: [{ address_prefix: 10.99.0.7, prefix_len: 32 }] }'),
      chain(
        'port-and-range',
        '{ destination_port: 81, prefix_ranges: [{ address_prefix: 10.99.0.0, prefix_len: 24 }] }',
      ),
      chain(
        'from-below',
        '{ destination_port: 82, source_prefix_ranges: [{ address_prefix: 10.77.0.0, prefix_len: 24 }] }',
      ),
      chain('not-from-here', '{ destination_port: 83, source_type: EXTERNAL }'),
    ),
    listener('exact', '10.99.0.1', 80, 'bind_to_port: false', chain('exact', '{}')),
    listener('any-8080', '0.0.0.0', 8080, 'bind_to_port: false', chain('any-8080', '{}')),
    listener('exact-8080', '10.99.0.2', 8080, 'deprecated_v1: { bind_to_port: false }', chain('exact-8080', '{}')),
    listener('bound', '0.0.0.0', 9090, '', chain('bound', '{}')),
  ].join('')}
`;

const ASKED = [
  '10.99.0.1:80',
  '10.99.0.2:80',
  '10.98.0.2:80',
  '10.99.0.7:80',
  '10.98.0.1:8080',
  '10.99.0.2:8080',
  '10.99.0.1:9090',
  '10.99.0.1:81',
  '10.98.0.1:81',
  '10.99.0.7:81',
  '10.98.0.1:82',
  '10.98.0.1:83',
];

async function answers(pod: Pod, command: string[]): Promise<Record<string, string>> {
  pod.sh('iptables -t nat -A OUTPUT -p tcp -m owner ! --uid-owner 1337 ! -d 127.0.0.0/8 -j REDIRECT --to-ports 15001');
  const proxy = pod.spawn(command, PROXY);
  let said = '';
  for (const stream of [proxy.stdout, proxy.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  const ask = async (where: string) => (await pod.run(['curl', '-s', '-m', '5', `http://${where}/`])).stdout;
  const isReady = async () => (await pod.run(['curl', '-s', 'http://127.0.0.1:15000/ready'], PROXY)).stdout.trim();
  await expect.poll(isReady, { timeout: 20_000, message: said }).toBe('LIVE');
  const found: Record<string, string> = {};
  for (const where of ASKED) found[where] = await ask(where);
  return found;
}

test('a connection goes to the listener at its original destination, else chains are chosen by it, as in Envoy', {
  timeout: 90_000,
}, async (context) => {
  const reason = whyNoNamespaces('iptables', 'curl');
  if (reason !== undefined) return context.skip(reason);
  const folder = mkdtempSync(join(tmpdir(), 'original-destination-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config.yaml');
  writeFileSync(file, CONFIG);
  chmodSync(folder, 0o755);
  await using network = TestNetwork.create({ ipv6: false });
  const ours = await answers(network.pod('ours'), [LAUNCHER, 'run', '-c', file]);
  expect(ours).toEqual({
    '10.99.0.1:80': 'exact 10.99.0.1:80',
    '10.99.0.2:80': 'range 10.99.0.2:80',
    '10.98.0.2:80': 'all 10.98.0.2:80',
    '10.99.0.7:80': 'narrow 10.99.0.7:80',
    '10.98.0.1:8080': 'any-8080 10.98.0.1:8080',
    '10.99.0.2:8080': 'exact-8080 10.99.0.2:8080',
    '10.99.0.1:9090': 'bound 10.99.0.1:9090',
    '10.99.0.1:81': 'port-and-range 10.99.0.1:81',
    '10.98.0.1:81': 'port-81 10.98.0.1:81',
    '10.99.0.7:81': 'port-and-range 10.99.0.7:81',
    '10.98.0.1:82': 'from-below 10.98.0.1:82',
    '10.98.0.1:83': 'not-from-here 10.98.0.1:83',
  });
  const envoy = findEnvoy();
  if (envoy === undefined) return;
  const id = String(Math.floor(Math.random() * 30_000) + 1000);
  expect(
    await answers(network.pod('envoys'), [envoy, '-c', file, '--base-id', id, '--concurrency', '1', '-l', 'error']),
  ).toEqual(ours);
});
