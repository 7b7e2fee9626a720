import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { eventually } from '../support/story.ts';
import { EnvoyProcess } from './differential/harness/envoy-process.ts';

const LAST = '00000000-last';
const IDS = [
  ...Array.from({ length: 300 }, (_, i) => `${((i * 2654435761) >>> 0).toString(16).padStart(8, '0')}-4000`),
  ...Array.from({ length: 10 }, (_, i) => `0x00000${i}-prefix`),
  ...['FFFFFFFF-0', '00000000', '0000001d', '0000001e'],
  LAST,
];

it('the access logs of Envoy and Outrigger have the same requests of a share', async (context) => {
  const program = findEnvoy();
  if (program === undefined) return context.skip(NO_ENVOY);
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-sampling-'));
  context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const files = ['envoy.log', 'outrigger.log'].map((name) => join(folder, name)) as [string, string];
  await using envoy = await EnvoyProcess.start(program, configuration(files[0]), folder);
  await using proxy = await startTestProxy(configuration(files[1]));
  await send((await envoy.listeners(1)).get('http') as number);
  await send(proxy.port);
  const lines = (file: string) => (existsSync(file) ? readFileSync(file, 'latin1').split('\n') : []);
  await eventually('both logs are written', () => files.every((file) => lines(file).includes(LAST)), 10_000);
  expect(lines(files[1])).toEqual(lines(files[0]));
  expect(lines(files[0]).length).toBeGreaterThan(60);
  expect(lines(files[0]).length).toBeLessThan(130);
});

async function send(port: number): Promise<void> {
  const client = await TestClient.connect(port);
  for (const [i, id] of IDS.entries()) {
    client.write(`GET / HTTP/1.1\r\nhost: a\r\nx-request-id: ${id}\r\n\r\n`);
    await client.until(({ text }) => text.split('alive').length > i + 1);
  }
  client.destroy();
}

function configuration(logFile: string): string {
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          access_log:
          - name: envoy.access_loggers.file
            filter: { runtime_filter: { runtime_key: share, percent_sampled: { numerator: 30 } } }
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: ${logFile}
              log_format: { text_format_source: { inline_string: "%REQ(X-REQUEST-ID)%\\n" } }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: alive } } }]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`;
}
