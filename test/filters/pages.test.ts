import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { builtinRegistry } from '../../filters/index.ts';
import { FILTER_PAGES } from '../../filters/pages.ts';
import { pagesWithFacts } from '../../src/cli/filter-pages.ts';
import { filterIndex, filterPage, OWN_NAMES } from '../../src/config/filter-reference.ts';
import type { FilterPage, FilterTry } from '../../src/filter/page.ts';
import { SidecarProxy } from '../../src/sidecar-proxy.ts';
import { startRateLimitService } from '../policies/services.ts';
import { startTestProxy, type TestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { type Answer, type App, echo, readAll, startApp } from '../support/story.ts';
import { TestPki } from '../support/tls.ts';

const registry = builtinRegistry();
const FILTERS = [...registry.http.values(), ...registry.network.values()].map(({ name }) => name);

const PAGES = pagesWithFacts();

describe('docs/filters', () => {
  it('has one page for each filter, transport socket and terminal filter', () => {
    const pages = FILTER_PAGES.map(({ name }) => name);
    expect(pages.toSorted()).toEqual([...FILTERS, ...OWN_NAMES].sort());
    expect(new Set(FILTER_PAGES.map(({ slug }) => slug)).size).toBe(pages.length);
  });

  const named = PAGES.map(([page, facts]) => ({ slug: page.slug, page, facts }));

  it.for(named)('of $slug says what the code says (run with -u to write it)', async ({ page, facts }) => {
    await expect(filterPage(page, facts)).toMatchFileSnapshot(`../../docs/filters/${page.slug}.md`);
  });

  it('README.md lists them', async () => {
    await expect(filterIndex(PAGES)).toMatchFileSnapshot('../../docs/filters/README.md');
  });
});

describe('the example of each page does what the page says', () => {
  it.for(FILTER_PAGES)('$slug', async (page) => {
    const pki = new TestPki();
    const seen: IncomingHttpHeaders[] = [];
    const listener: RequestListener = (request, response) => {
      seen.push(request.headers);
      answerLikeAnApp(request, response);
    };
    await using app = page.slug === 'upstream-tls' ? await startTlsApp(pki, listener) : await startApp(listener);
    await using limits = await startRateLimitService(1);
    await using proxy = await startTestProxy(runnable(page, pki, app.port, limits.port));
    expect(page.tries).not.toEqual([]);
    for (const one of page.tries) {
      await quiet(proxy);
      await attempt(one, proxy, pki, seen);
    }
    for (const name of Object.keys(page.statistics ?? {})) expect(statisticsOf(proxy)).toContainEqual(pattern(name));
  });
});

/** The example with ports and files of this test. */
function runnable({ example }: FilterPage, pki: TestPki, app: number, limits: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-page-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const files = {
    'ca.pem': pki.ca.cert,
    'server.pem': pki.server.cert,
    'server.key': pki.server.key,
    'client.pem': pki.client.cert,
    'client.key': pki.client.key,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return example
    .replaceAll('127.0.0.1:8080', '127.0.0.1:0')
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${app}`)
    .replaceAll('port_value: 8080', 'port_value: 0')
    .replaceAll('port_value: 3000', `port_value: ${app}`)
    .replaceAll('port_value: 8081', `port_value: ${limits}`)
    .replaceAll('/etc/certs/', `${dir}/`)
    .replaceAll('/var/log/taps/', `${dir}/`);
}

/** Says what it got; to gRPC calls with status 0. */
const answerLikeAnApp: RequestListener = (request, response) => {
  if (!request.headers['content-type']?.startsWith('application/grpc')) return echo()(request, response);
  response.setHeader('content-type', 'application/grpc');
  response.setHeader('grpc-status', '0');
  request.resume().on('end', () => response.end());
};

/** Waits until the proxy has forgotten the connections before. */
async function quiet({ proxy }: TestProxy): Promise<void> {
  if (!(proxy instanceof SidecarProxy)) return;
  const { gauges } = proxy.runtime.stats;
  const open = (): string[] =>
    [...gauges]
      .filter(([name, { value }]) => /(downstream_cx_active|\.active_connections)$/.test(name) && value > 0)
      .map(([name]) => name);
  await expect.poll(open, { timeout: 10_000 }).toEqual([]);
}

async function attempt(
  { request, answer, appGets }: FilterTry,
  proxy: TestProxy,
  pki: TestPki,
  seen: IncomingHttpHeaders[],
): Promise<void> {
  const others = await Promise.all(
    Array.from({ length: request.besides ?? 0 }, async () => {
      const client = await TestClient.connect(proxy.port);
      client.write('GET / HTTP/1.1\r\nhost: app.test\r\n\r\n');
      return client.untilText('200 OK');
    }),
  );
  const got = await send(proxy.port, request, pki).catch(() => 'closed' as const);
  for (const client of others) client.socket.destroy();
  if (answer === 'closed' || got === 'closed') {
    expect(got).toBe(answer);
    return;
  }
  expect({ status: got.status, headers: got.headers, body: got.body }).toMatchObject({
    status: answer.status,
    headers: answer.headers ?? {},
    body: expect.stringContaining(answer.body ?? ''),
  });
  for (const [name, value] of Object.entries(appGets ?? {})) expect(seen.at(-1)![name]).toBe(value);
}

function send(port: number, request: FilterTry['request'], pki: TestPki): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, body, over } = request;
  const shown = over === 'TLS with a certificate' ? { cert: pki.client.cert, key: pki.client.key } : {};
  const options = { host: '127.0.0.1', port, method, path, agent: false, headers: { host: 'app.test', ...headers } };
  return new Promise((resolve, reject) => {
    const message =
      over === undefined
        ? httpRequest(options)
        : httpsRequest({ ...options, ...shown, ca: pki.ca.cert, servername: 'server.test' });
    message.on('error', reject);
    message.on('response', (response) => {
      readAll(response).then(
        (bytes) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: bytes.toString('latin1'),
            trailers: response.trailers,
          }),
        reject,
      );
    });
    message.end(body);
  });
}

/** An app behind TLS that asks for a certificate. */
async function startTlsApp(pki: TestPki, listener: RequestListener): Promise<Pick<App, 'port'> & AsyncDisposable> {
  const { cert, key } = pki.server;
  const server = createTlsServer({ cert, key, ca: pki.ca.cert, requestCert: true, rejectUnauthorized: true }, listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

function statisticsOf({ proxy }: TestProxy): string[] {
  if (!(proxy instanceof SidecarProxy)) throw new Error('one thread has them all');
  const { counters, gauges } = proxy.runtime.stats;
  return [...counters.keys(), ...gauges.keys()];
}

/** `a.<b>.c` matches any name in place of `<b>`. */
function pattern(name: string): unknown {
  const parts = name.split(/<[^>]*>/).map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return expect.stringMatching(new RegExp(`^${parts.join('.+')}$`));
}
