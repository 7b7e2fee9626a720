import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { FilterChain } from '../../src/http/filter-chain.ts';
import { BodyReader } from '../../src/http/http1/body-reader.ts';
import { flushQueue } from '../../src/network/flush-queue.ts';
import { turnQueue } from '../../src/network/turn-queue.ts';
import { type ComponentReport, componentReport } from '../../src/observe/component-report.ts';
import { startProbe } from '../../src/probe/index.ts';
import { SEAMS } from '../../src/probe/seams.ts';
import { isWoven } from '../../src/probe/weave.ts';
import type { SidecarProxy } from '../../src/sidecar-proxy.ts';
import { httpConfig, startTestProxy, type TestProxy, tcpConfig } from '../support/proxy.ts';
import { listen } from '../support/sockets.ts';

const ALL = { mode: 'all', every: 1 } as const;
const RBAC = `- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules: { action: ALLOW, policies: { everybody: { permissions: [{ any: true }], principals: [{ any: true }] } } }`;

/** A method that a seam names, as it is now. */
function methodOf(seam: (typeof SEAMS)[number], name: string): unknown {
  return (seam.of.prototype as Record<string, unknown>)[name];
}

function wovenSeams(): string[] {
  return SEAMS.flatMap((seam) => seam.methods.filter((name) => isWoven(methodOf(seam, name))));
}

function chainOf(proxy: TestProxy): FilterChain {
  let found: FilterChain | undefined;
  for (const socket of (proxy.proxy as SidecarProxy).sockets()) {
    const [chain] = socket.current.chains;
    found = (chain as unknown as { terminal: { baseChain: FilterChain } }).terminal.baseChain;
  }
  if (found === undefined) throw new Error('no chain');
  return found;
}

function report(proxy: TestProxy): ComponentReport {
  const { probe } = (proxy.proxy as SidecarProxy).runtime;
  return componentReport(probe === undefined ? [] : [probe.report()]);
}

async function get(port: number, times: number): Promise<void> {
  for (let i = 0; i < times; i++) expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
}

const app = () =>
  listen((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
  });

afterEach(() => {
  expect(wovenSeams()).toEqual([]);
});

test('off, the chain holds the hooks that the filter made, and no method is woven', async () => {
  await using backend = await app();
  await using proxy = await startTestProxy(httpConfig(backend.port, { filters: RBAC }));
  await get(proxy.port, 2);
  expect(wovenSeams()).toEqual([]);
  expect(Object.hasOwn(turnQueue, 'run') && isWoven((turnQueue as unknown as { run: unknown }).run)).toBe(false);
  expect(isWoven((flushQueue as unknown as { enter: unknown }).enter)).toBe(false);
  const [rbac] = chainOf(proxy).request;
  expect(isWoven(rbac?.hooks.onRequest)).toBe(false);
  expect(String(rbac?.hooks.onRequest)).not.toContain('meter');
  expect(report(proxy)).toMatchObject({ mode: 'off', routes: [] });
});

test('on, every seam is woven, and taken out again with the proxy', async () => {
  await using backend = await app();
  const before = BodyReader.prototype.read;
  {
    await using proxy = await startTestProxy(httpConfig(backend.port, { filters: RBAC }), { probe: ALL });
    expect(wovenSeams()).toHaveLength(SEAMS.flatMap(({ methods }) => methods).length);
    await get(proxy.port, 1);
    expect(isWoven(chainOf(proxy).request[0]?.hooks.onRequest)).toBe(true);
  }
  expect(BodyReader.prototype.read).toBe(before);
});

test('requests are told by route, and each component has its share', async () => {
  await using backend = await app();
  const routes = `- { match: { prefix: /a }, name: first, route: { cluster: app } }
- { match: { prefix: / }, name: second, route: { cluster: app } }`;
  await using proxy = await startTestProxy(httpConfig(backend.port, { filters: RBAC, routes }), { probe: ALL });
  // The first thousands of events warm up.
  await get(proxy.port, 2200);
  await expect.poll(() => report(proxy).routes.map(({ route }) => route)).toContain('all/second');
  const parts = report(proxy).routes.find(({ route }) => route === 'all/second')?.parts ?? [];
  const names = parts.map(({ part }) => part);
  for (const name of ['http_parse', 'header_codec', 'filter/rbac', 'routing', 'os_write', 'packet_processing']) {
    expect(names).toContain(name);
  }
  const requests = report(proxy).routes.find(({ route }) => route === 'all/second')?.requests ?? 0;
  for (let i = 0; i < 400; i++) await (await fetch(`http://127.0.0.1:${proxy.port}/a`)).text();
  const after = report(proxy).routes;
  expect(after.find(({ route }) => route === 'all/first')?.requests).toBeGreaterThan(200);
  expect(after.find(({ route }) => route === 'all/second')?.requests).toBeLessThan(requests + 50);
});

test('a session of the TCP proxy is told by its statistics prefix', async () => {
  await using backend = await listen((socket) => socket.pipe(socket));
  await using proxy = await startTestProxy(tcpConfig(backend.port), { probe: ALL });
  const client = connect(proxy.port, '127.0.0.1');
  let echoes = 0;
  client.on('data', () => {
    if (++echoes < 3000) client.write('x');
    else client.end();
  });
  client.write('x');
  await new Promise((resolve) => client.once('close', resolve));
  const tcp = report(proxy).routes.find(({ route }) => route === 'tcp/test');
  expect(tcp?.reads).toBeGreaterThan(500);
  expect(tcp?.parts.map(({ part }) => part)).toContain('os_write');
});

test('one probe at a time: a second one says so, and leaves the first as it is', async () => {
  const first = await startProbe(ALL);
  try {
    await expect(startProbe(ALL)).rejects.toThrow('times this thread already');
    expect(wovenSeams().length).toBeGreaterThan(0);
  } finally {
    first.stop();
  }
});

test('what calibration opens is closed again', async () => {
  const sockets = (): string[] => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP'));
  const before = sockets().length;
  (await startProbe(ALL)).stop();
  await expect.poll(() => sockets().length).toBeLessThanOrEqual(before);
});
