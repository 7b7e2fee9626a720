import { mkdtempSync, rmSync } from 'node:fs';
import { constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { httpConfig, startTestProxy } from '../../support/proxy.ts';
import { TestClient } from '../../support/sockets.ts';
import { eventually } from '../../support/story.ts';
import { EnvoyProcess } from '../differential/harness/envoy-process.ts';

const COUNTED = [
  'upstream_rq_rx_reset',
  'upstream_rq_tx_reset',
  'upstream_cx_destroy',
  'upstream_cx_destroy_local',
  'upstream_cx_destroy_remote',
  'upstream_cx_destroy_with_active_rq',
  'upstream_cx_destroy_remote_with_active_rq',
].map((name) => `cluster.app.${name}`);

it('resets of upstream streams are counted as by Envoy: who reset them, and what was no reset', async (context) => {
  const program = findEnvoy();
  if (program === undefined) return context.skip(NO_ENVOY);
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-resets-'));
  context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const hanging: string[] = [];
  const app = createServer((request, response) => {
    if (request.url === '/reset') response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    else if (request.url === '/end') request.stream.session?.destroy();
    else if (request.url === '/ok') response.end('fine');
    else hanging.push(request.url ?? '');
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  context.onTestFinished(() => void app.close());
  const text = configuration((app.address() as AddressInfo).port);
  await using envoy = await EnvoyProcess.start(program, text, folder);
  await using proxy = await startTestProxy(text);

  const exchanges = async (port: number): Promise<void> => {
    for (const path of ['/ok', '/reset', '/quick', '/end', '/ok']) {
      const client = await TestClient.connect(port);
      // POST: a GET would be tried once more on a fresh connection, which Envoy does not do.
      client.write(`POST ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      await client.untilClosed();
      expect(client.text).toMatch(path === '/ok' ? / 200 / : / 50[34] /);
      client.destroy();
    }
    const client = await TestClient.connect(port);
    const before = hanging.length;
    client.write('GET /hang HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually('the app has the request', () => hanging.length > before);
    client.destroy();
  };
  await exchanges((await envoy.listeners(1)).get('http') as number);
  await exchanges(proxy.port);
  let wanted = new Map<string, number>();
  for (let i = 0; i < 100 && wanted.get('cluster.app.upstream_rq_tx_reset') !== 2; i++) wanted = await envoy.stats();
  const expected = Object.fromEntries(COUNTED.map((name) => [name, wanted.get(name)]));
  expect(expected['cluster.app.upstream_rq_rx_reset']).toBe(1);
  await eventually('the last reset is counted', () => proxy.stat('cluster.app.upstream_rq_tx_reset') === 2);
  expect(Object.fromEntries(COUNTED.map((name) => [name, proxy.stat(name)]))).toEqual(expected);
});

function configuration(port: number): string {
  const config = httpConfig(port, {
    routes: `- match: { path: /quick }
  route: { cluster: app, timeout: 0.2s }
- match: { prefix: / }
  route: { cluster: app }`,
    cluster: `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http2_protocol_options: {} }`,
  });
  return `admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n${config}`;
}
