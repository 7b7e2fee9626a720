import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ComponentReport } from '../../src/observe/component-report.ts';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { listen } from '../support/sockets.ts';

const ALL = { mode: 'all', every: 1 } as const;
/** More than what warms up. */
const ENOUGH_REQUESTS = 2600;

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'outrigger-probe-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

function filterFile(name: string, onRequest: string): string {
  writeFileSync(
    join(dir, `${name}.ts`),
    `import { defineHttpFilter } from 'outrigger';
export default defineHttpFilter({
  name: '${name}',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({ ${onRequest} }),
});
`,
  );
  return `- name: ${name}
  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./${name}.ts }`;
}

const app = () =>
  listen((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
  });

function options() {
  return { dir, probe: ALL, adminAddress: { host: '127.0.0.1', port: 0 } };
}

async function report(proxy: TestProxy): Promise<ComponentReport> {
  const { host, port } = proxy.proxy.adminAddress ?? { host: '', port: 0 };
  return (await (await fetch(`http://${host}:${port}/components`)).json()) as ComponentReport;
}

function nsOf({ routes }: ComponentReport, name: string): number | null | undefined {
  return routes.flatMap(({ parts }) => parts).find(({ part }) => part === name)?.nsPerRequest;
}

/** Several requests at a time. @returns the statuses that there were */
async function send(port: number, count: number, streams = 16): Promise<Set<number>> {
  const statuses = new Set<number>();
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      await response.text();
      statuses.add(response.status);
    }
  };
  await Promise.all(Array.from({ length: streams }, one));
  return statuses;
}

test('a filter that throws is timed up to there, and leaves the account as it was', { timeout: 120_000 }, async () => {
  await using backend = await app();
  const filters = filterFile('thrower', "onRequest() { throw new Error('on purpose'); }");
  await using proxy = await startTestProxy(httpConfig(backend.port, { filters }), options());
  expect(await send(proxy.port, ENOUGH_REQUESTS + 400)).toEqual(new Set([500]));
  const seen = await report(proxy);
  expect(nsOf(seen, 'filter/thrower')).toBeGreaterThan(0);
  // Whoever had stayed within the filter would have all that comes after it.
  expect(nsOf(seen, 'os_write')).toBeGreaterThan(0);
});

test('what a filter waits for is nobody’s time', { timeout: 120_000 }, async () => {
  await using backend = await app();
  const filters = filterFile('waiter', 'async onRequest() { await new Promise((done) => setTimeout(done, 20)); }');
  await using proxy = await startTestProxy(httpConfig(backend.port, { filters }), options());
  expect(await send(proxy.port, ENOUGH_REQUESTS, 64)).toEqual(new Set([200]));
  const ns = nsOf(await report(proxy), 'filter/waiter');
  expect(ns).toBeGreaterThan(0);
  expect(ns).toBeLessThan(10_000_000);
});

test('a reload goes on being timed, with the filters of the new configuration', { timeout: 120_000 }, async () => {
  await using backend = await app();
  const spin = 'onRequest() { const until = performance.now() + 0.2; while (performance.now() < until); }';
  await using proxy = await startTestProxy(httpConfig(backend.port), options());
  await send(proxy.port, ENOUGH_REQUESTS);
  expect(nsOf(await report(proxy), 'filter/spinner')).toBeUndefined();
  expect(await proxy.reload(httpConfig(backend.port, { filters: filterFile('spinner', spin) }))).toBe('updated');
  await send(proxy.port, 300);
  // The mean is over all requests, those before the reload too.
  const { routes } = await report(proxy);
  const spinner = routes.flatMap(({ parts }) => parts).find(({ part }) => part === 'filter/spinner');
  expect(spinner?.ns).toBeGreaterThan(100 * 200_000);
});

test('threads time themselves, and the admin server adds them up', { timeout: 120_000 }, async () => {
  await using backend = await app();
  await using proxy = await startTestProxy(httpConfig(backend.port), { ...options(), concurrency: 2 });
  await send(proxy.port, ENOUGH_REQUESTS * 2 + 400, 32);
  await expect.poll(async () => (await report(proxy)).routes.length).toBeGreaterThan(0);
  const seen = await report(proxy);
  expect(seen.cpuNs).toBeGreaterThan(0);
  expect(nsOf(seen, 'http_parse')).toBeGreaterThan(0);
});

test('streams of HTTP/2 are told by route, and their frames are parsed by somebody', { timeout: 120_000 }, async () => {
  await using backend = await app();
  await using proxy = await startTestProxy(httpConfig(backend.port), options());
  const session = connect(`http://127.0.0.1:${proxy.port}`);
  const get = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':path': '/' });
      stream.on('error', reject).on('end', resolve).resume();
    });
  for (let i = 0; i < ENOUGH_REQUESTS; i++) await get();
  session.close();
  const seen = await report(proxy);
  expect(seen.routes.map(({ route }) => route)).toContain('all/app');
  for (const part of ['http_parse', 'header_codec', 'routing']) expect(nsOf(seen, part)).toBeGreaterThan(0);
});

test('names are shown as they are, whatever they hold, and break neither metrics nor JSON', {
  timeout: 120_000,
}, async () => {
  const hostile = '</script><img src=x onerror=alert(1)>"} 1\\';
  await using backend = await app();
  const routes = `- { match: { prefix: / }, name: ${JSON.stringify(hostile)}, route: { cluster: app } }`;
  const filters = `- name: ${JSON.stringify(hostile)}
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config
    request_rules: [{ header: x-a, on_header_present: { key: a } }]`;
  await using proxy = await startTestProxy(httpConfig(backend.port, { filters, routes }), options());
  await send(proxy.port, ENOUGH_REQUESTS);
  const seen = await report(proxy);
  expect(seen.routes.map(({ route }) => route)).toContain(`all/${hostile}`);
  expect(nsOf(seen, `filter/${hostile}`)).toBeGreaterThan(0);
  const { host, port } = proxy.proxy.adminAddress ?? { host: '', port: 0 };
  const metrics = await (await fetch(`http://${host}:${port}/stats/prometheus`)).text();
  const samples = metrics.split('\n').filter((line) => line.startsWith('outrigger_component_cpu_seconds_total{'));
  // The text format of Prometheus: backslash, quote and line feed are escaped within a label.
  const sample = /^\w+\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\} -?[\d.]+$/;
  expect(samples.length).toBeGreaterThan(5);
  for (const line of samples) expect(line).toMatch(sample);
  expect(samples.join('\n')).toContain(`route="all/${hostile.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);
  // The page holds no name: it asks for them, and puts them into text nodes.
  expect(await (await fetch(`http://${host}:${port}/`)).text()).not.toContain('onerror=alert');
});
