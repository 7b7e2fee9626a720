import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { httpConfig, startTestProxy } from '../../support/proxy.ts';
import { ask, startApp } from '../../support/story.ts';
import { EnvoyProcess } from '../differential/harness/envoy-process.ts';

const envoyProgram = findEnvoy();
const folder = mkdtempSync(join(tmpdir(), 'outrigger-tap-interop-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TAP = 'type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap';

/** Taps by what they are called; their files lie in `own`. */
function filters(own: string): string {
  const taps: Record<string, object> = {
    all: { match: { any_match: true }, output: { max_buffered_rx_bytes: 4 }, format: 'JSON_BODY_AS_STRING' },
    bytes: { match: { any_match: true } },
    header: { match: { http_request_headers_match: { headers: [{ name: 'x-tap', present_match: true }] } } },
    status: {
      match: { http_response_headers_match: { headers: [{ name: ':status', string_match: { exact: '404' } }] } },
    },
    both: {
      match: {
        and_match: {
          rules: [
            { not_match: { http_request_headers_match: { headers: [{ name: 'x-tap' }] } } },
            { http_response_generic_body_match: { patterns: [{ string_match: 'body' }, { binary_match: 'OTk=' }] } },
          ],
        },
      },
    },
    limited: { match: { http_request_generic_body_match: { bytes_limit: 6, patterns: [{ string_match: '99' }] } } },
    trailers: { match: { not_match: { http_response_trailers_match: { headers: [{ name: 'x-t' }] } } } },
    streamed: {
      match: { http_response_headers_match: { headers: [{ name: 'x-app' }] } },
      output: { streaming: true, max_buffered_rx_bytes: 4 },
    },
  };
  const list = Object.entries(taps).map(([name, tap]) => {
    const { match, output, format } = tap as { match: object; output?: object; format?: string };
    mkdirSync(join(own, name), { recursive: true });
    const sinks = [{ format: format ?? 'JSON_BODY_AS_BYTES', file_per_tap: { path_prefix: join(own, name, 'tap') } }];
    const typed = {
      '@type': TAP,
      common_config: { static_config: { match, output_config: { sinks, ...output } } },
      record_downstream_connection: name === 'all',
      record_upstream_connection: name === 'all',
      record_headers_received_time: name === 'bytes',
    };
    return `- ${JSON.stringify({ name, typed_config: typed })}`;
  });
  return list.join('\n');
}

/** What may differ: ids, times, ports, and the order of headers. */
function comparable(text: string): unknown {
  return JSON.parse(
    text
      .replace(/"trace_id": "\d+"/g, '"trace_id": ""')
      .replace(/"headers_received_time": "[^"]+Z"/g, '"headers_received_time": ""')
      .replace(/"port_value": \d+/g, '"port_value": 0')
      .replace(/127\.0\.0\.1:\d+/g, 'here'),
    (key, value) =>
      key !== 'headers'
        ? value
        : (value as { key: string; value: string }[])
            .map((header) => (VARYING.has(header.key) ? { ...header, value: '' } : header))
            .filter(({ key: name }) => !HOP_BY_HOP.has(name))
            .sort((a, b) => (a.key < b.key ? -1 : 1)),
  );
}
const VARYING = new Set(['x-request-id', 'date', 'x-envoy-upstream-service-time']);
/** Envoy shows the app's, where the filter sees the response's head before they are taken out. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding']);

/** Traces by tap; one file holds several when it is streamed. */
function traces(own: string): Record<string, unknown[]> {
  return Object.fromEntries(
    readdirSync(own)
      .sort()
      .map((name) => {
        const files = readdirSync(join(own, name)).map((file) => readFileSync(join(own, name, file), 'utf8'));
        const list = files.map((text) => text.split(/(?<=^}\n)/m).map(comparable));
        return [
          name,
          list
            .map((file) => JSON.stringify(file))
            .sort()
            .map((file) => JSON.parse(file)),
        ];
      }),
  );
}

describe.skipIf(envoyProgram === undefined)(`taps${envoyProgram === undefined ? ` (${NO_ENVOY})` : ''}`, () => {
  test('write the traces that Envoy writes', { timeout: 60_000 }, async () => {
    await using app = await startApp((request, response) => {
      request.resume();
      request.on('end', () => {
        response.writeHead(request.url === '/missing' ? 404 : 200, { 'x-app': '1' });
        response.end(request.method === 'GET' ? '' : 'a body, 99');
      });
    });
    const own = { envoy: join(folder, 'envoy'), outrigger: join(folder, 'outrigger') };
    const config = (name: 'envoy' | 'outrigger'): string => httpConfig(app.port, { filters: filters(own[name]) });
    const admin = 'admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n';
    await using envoy = await EnvoyProcess.start(envoyProgram as string, admin + config('envoy'), folder);
    const [envoyPort = 0] = (await envoy.listeners(1)).values();
    await using proxy = await startTestProxy(config('outrigger'));

    for (const port of [envoyPort, proxy.port]) {
      const headers = { 'x-request-id': 'one', 'x-tap': '1' };
      await ask(port, { path: '/a?b=c', headers });
      await ask(port, { path: '/missing' });
      await ask(port, { path: '/post', method: 'POST', body: 'sent: 99', headers: { 'content-type': 'text/plain' } });
    }
    const stat = (stats: ReadonlyMap<string, number>): number => stats.get('http.test.tap.rq_tapped') ?? 0;
    await expect.poll(() => proxy.stat('http.test.tap.rq_tapped')).toBe(stat(await envoy.stats()));
    await expect.poll(() => traces(own.outrigger), { timeout: 10_000 }).toEqual(traces(own.envoy));
    const counts = Object.entries(traces(own.envoy)).map(([name, files]) => [name, files.length]);
    expect(Object.fromEntries(counts)).toEqual({
      all: 3,
      bytes: 3,
      both: 1,
      header: 1,
      limited: 0,
      status: 1,
      streamed: 3,
      trailers: 3,
    });
  });
});
