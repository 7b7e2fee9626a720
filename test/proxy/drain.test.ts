import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { SidecarProxy } from '../../src/sidecar-proxy.ts';
import { httpConfig, startTestProxy, type TestProxy, tcpConfig } from '../support/proxy.ts';
import { unusedPort } from '../support/proxy-process.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, eventually, quiet, readAll, sleep, startApp, story } from '../support/story.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

test('draining finishes what runs, ends what idles, and takes nothing new', async () => {
  await using app = await startApp((request, response) => {
    if (request.url === '/slow') setTimeout(() => response.end('slow'), 200);
    else response.end('quick');
  });
  await using proxy = await story({ app: app.port, drainTimeMs: 5000 });
  const idle = await TestClient.connect(proxy.port);
  idle.write(GET);
  await idle.untilText('quick');
  const fresh = await TestClient.connect(proxy.port);
  const running = ask(proxy.port, { path: '/slow' });
  await eventually('it runs', () => proxy.stat('http.test.downstream_rq_active') === 1);
  const start = performance.now();
  await proxy.proxy.drain();
  expect(performance.now() - start).toBeLessThan(3000);
  const answer = await running;
  expect([answer.body, answer.headers.connection]).toEqual(['slow', 'close']);
  expect(idle.ended && fresh.ended).toBe(true);
  await expect(ask(proxy.port)).rejects.toThrow(/ECONNREFUSED/);
  await quiet(proxy);
});

test('draining ends at its deadline, and closing then cuts what is left', async () => {
  await using app = await listen((socket) => void socket.resume());
  const proxy = await story({ app: app.port, drainTimeMs: 200 });
  const outcome = ask(proxy.port).then(
    () => 'answered',
    () => 'cut',
  );
  await eventually('it runs', () => proxy.stat('http.test.downstream_rq_active') === 1);
  const start = performance.now();
  await proxy.proxy.drain();
  expect(performance.now() - start).toBeGreaterThan(195);
  expect(performance.now() - start).toBeLessThan(1000);
  await proxy[Symbol.asyncDispose]();
  expect(await outcome).toBe('cut');
  await quiet(proxy);
});

test('a tunnel and a TCP session outlive a reload and end with the drain’s deadline', async () => {
  await using app = await listen((socket) => socket.pipe(socket));
  await using proxy = await startTestProxy(tcpConfig(app.port), { drainTimeMs: 300 });
  const client = await TestClient.connect(proxy.port);
  client.write('one');
  await client.untilText('one');
  await proxy.reload(tcpConfig(app.port, 'idle_timeout: 60s'));
  client.write('two');
  await client.untilText('two');
  expect(client.ended).toBe(false);
  await client.untilClosed(2000);
});

async function post(proxy: TestProxy, path: string): Promise<number> {
  const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
  return new Promise((resolve, reject) => {
    request({ host, port, path, method: 'POST', agent: false }, (response) => {
      readAll(response).then(() => resolve(response.statusCode ?? 0), reject);
    })
      .on('error', reject)
      .end();
  });
}

test('the admin server drains listeners and asks for the end', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await startTestProxy(httpConfig(app.port), {
    adminAddress: { host: '127.0.0.1', port: 0 },
    drainTimeMs: 300,
  });
  expect(await post(proxy, '/drain_listeners?inboundonly')).toBe(200);
  expect((await ask(proxy.port)).status).toBe(200);
  expect(await post(proxy, '/drain_listeners')).toBe(200);
  await expect(ask(proxy.port)).rejects.toThrow(/ECONNREFUSED/);
  let quit = false;
  void proxy.proxy.quitRequested.then(() => {
    quit = true;
  });
  expect(await post(proxy, '/quitquitquit')).toBe(200);
  await sleep(10);
  expect(quit).toBe(true);
});

test('a proxy that cannot start leaves no port open', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const spare = await listen(() => {});
  await spare[Symbol.asyncDispose]();
  const first = httpConfig(app.port).replace('port_value: 0 }', `port_value: ${spare.port} }`);
  const between = (text: string): string => /listeners:\n([\s\S]*?) {2}clusters:/.exec(text)?.[1] ?? '';
  const taken = between(
    httpConfig(1).replace('port_value: 0 }', `port_value: ${app.port} }`).replace('name: http\n', 'name: b\n'),
  );
  await expect(startTestProxy(first.replace(between(first), between(first) + taken))).rejects.toThrow(/in use/);
  await expect(ask(spare.port)).rejects.toThrow(/ECONNREFUSED/);
  await expect(startTestProxy(first, { adminAddress: { host: '127.0.0.1', port: app.port } })).rejects.toThrow();
  await expect(ask(spare.port)).rejects.toThrow(/ECONNREFUSED/);
});

test('closing twice, and closing while a reload drains, disposes of each filter once', async () => {
  await using app = await startApp((_request, response) => setTimeout(() => response.end('ok'), 100));
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-close-'));
  let made = 0;
  const proxy = await story({
    app: app.port,
    drainTimeMs: 5000,
    filters: [
      {
        name: 'counted',
        semantics: { side: 'either', state: 'none', body: 'none' },
        create: () => {
          made++;
          return {};
        },
      },
    ],
  });
  const running = ask(proxy.port).catch(() => undefined);
  await eventually('it runs', () => proxy.stat('http.test.downstream_rq_active') === 1);
  await proxy.reload(proxy.config({ app: app.port, manager: 'via: x' }));
  await proxy.proxy.close();
  await proxy.proxy.close();
  await running;
  await quiet(proxy);
  expect(made).toBe(1);
  await proxy[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

test('while health checks are failed, a response is the last one on its connection, unless the listener says otherwise', async () => {
  await using app = await startApp((_request, response) => response.end('alive'));
  for (const [listener, closes] of [
    ['', true],
    ['drain_type: MODIFY_ONLY', false],
  ] as const) {
    await using proxy = await startTestProxy(httpConfig(app.port, { listener }));
    const { runtime } = proxy.proxy as SidecarProxy;
    const idle = await TestClient.connect(proxy.port);
    const busy = await TestClient.connect(proxy.port);
    for (const client of [idle, busy]) {
      client.write(GET);
      await client.untilText('alive');
    }
    (proxy.proxy as SidecarProxy).failHealthChecks(true);
    expect(runtime.facts.healthy()).toBe(false);
    busy.write(GET);
    await busy.until(({ text }) => text.split('alive').length === 3);
    expect(busy.text.includes('connection: close')).toBe(closes);
    expect(proxy.stat('http.test.downstream_cx_drain_close')).toBe(closes ? 1 : 0);
    (proxy.proxy as SidecarProxy).failHealthChecks(false);
    idle.write(GET);
    await idle.until(({ text }) => text.split('alive').length === 3);
    expect(idle.text).not.toContain('connection: close');
    for (const client of [idle, busy]) client.destroy();
  }
});

test('while health checks are failed, HTTP/2 clients are asked to open no more streams', async () => {
  await using app = await startApp((_request, response) => response.end('alive'));
  await using proxy = await startTestProxy(httpConfig(app.port, { manager: 'drain_timeout: 0.1s' }));
  const client = connect(`http://127.0.0.1:${proxy.port}`);
  onTestFinished(() => client.destroy());
  let asked = false;
  client.on('goaway', () => {
    asked = true;
  });
  const exchange = async () => {
    const stream = client.request({ ':path': '/' });
    stream.resume().end();
    await once(stream, 'close');
  };
  await exchange();
  expect(asked).toBe(false);
  (proxy.proxy as SidecarProxy).failHealthChecks(true);
  await exchange();
  await eventually('GOAWAY', () => asked);
  await eventually('the connection ends', () => client.closed);
});

/** One listener for what comes in, one for what the app sends. */
async function twoDirections(appPort: number, drainTimeMs: number): Promise<TestProxy & { outbound: number }> {
  const one = httpConfig(appPort, { listener: 'traffic_direction: INBOUND' });
  const other = httpConfig(appPort, { listener: 'traffic_direction: OUTBOUND' }).replace(
    'name: http\n',
    'name: outbound\n',
  );
  const listener = /\n {2}- name: outbound\n[\s\S]*?(?=\n {2}clusters:)/.exec(other)?.[0] ?? '';
  const proxy = await startTestProxy(one.replace('\n  clusters:', `${listener}\n  clusters:`), { drainTimeMs });
  const outbound = proxy.proxy.listeners().find(({ name }) => name === 'outbound')?.port ?? 0;
  return Object.assign(proxy, { outbound });
}

test('at the end, what comes in stops first; the app can still send until it is gone', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await twoDirections(app.port, 8000);
  const busy = await TestClient.connect(proxy.outbound);
  busy.write(GET);
  await busy.untilText('ok');
  let isDrained = false;
  const drained = proxy.proxy.drain().then(() => {
    isDrained = true;
  });
  await expect(ask(proxy.port)).rejects.toThrow(/ECONNREFUSED/);
  expect((await ask(proxy.outbound)).status).toBe(200);
  expect(isDrained).toBe(false);
  busy.socket.destroy();
  await drained;
  await expect(ask(proxy.outbound)).rejects.toThrow(/ECONNREFUSED/);
});

test('one deadline holds for both directions', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await twoDirections(app.port, 400);
  const busy = await TestClient.connect(proxy.outbound);
  busy.write(GET);
  await busy.untilText('ok');
  const start = performance.now();
  await proxy.proxy.drain();
  expect(performance.now() - start).toBeGreaterThan(395);
  expect(performance.now() - start).toBeLessThan(2000);
});

test('a graceful drain of listeners asks connections to end while new ones are served, and closes them after its time', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const adminAddress = { host: '127.0.0.1', port: 0 };
  await using proxy = await startTestProxy(httpConfig(app.port, { listener: 'traffic_direction: INBOUND' }), {
    adminAddress,
    drainTimeMs: 600,
  });
  expect(await post(proxy, '/drain_listeners?inboundonly&skip_exit')).toBe(200);
  await sleep(800);
  const answer = await ask(proxy.port);
  expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
  expect(await post(proxy, '/drain_listeners?inboundonly&graceful')).toBe(200);
  expect((await ask(proxy.port)).headers.connection).toBe('close');
  await expect
    .poll(
      () =>
        ask(proxy.port).then(
          () => 'served',
          () => 'refused',
        ),
      { timeout: 10_000 },
    )
    .toBe('refused');
});

test('while a start waits for others, the admin server says so', async () => {
  // Accepts and never answers: the first health check takes until its timeout.
  await using app = await listen(() => {});
  const health =
    'health_checks: [{ timeout: 2s, interval: 5s, unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: { path: /ready } }]';
  const port = await unusedPort();
  const starting = startTestProxy(httpConfig(app.port, { cluster: health }), {
    adminAddress: { host: '127.0.0.1', port },
  });
  const state = (): Promise<string> =>
    ask(port, { path: '/ready' }).then(
      ({ status, body }) => `${status} ${body.trim()}`,
      () => 'nobody',
    );
  await expect.poll(state, { interval: 20 }).toBe('503 INITIALIZING');
  await using _proxy = await starting;
  expect(await state()).toBe('200 LIVE');
});
