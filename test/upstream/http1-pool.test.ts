import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, eventually, quiet, sleep, startApp, story } from '../support/story.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

/** An app of which every connection says which one it is. */
const counting = (answer: (n: number, served: number) => string) => {
  let n = 0;
  return listen((socket) => {
    const mine = ++n;
    let served = 0;
    socket.on('data', () => socket.write(answer(mine, ++served)));
  });
};
const named = (n: number): string => `HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${n}`;

test('an idle connection is used again, the last used first', async () => {
  const held: Socket[] = [];
  await using app = await listen((socket) => socket.on('data', () => held.push(socket)));
  await using proxy = await story({ app: app.port });
  const both = [ask(proxy.port), ask(proxy.port)];
  await eventually('two requests are with the app', () => held.length === 2);
  const [one, two] = held.splice(0) as [Socket, Socket];
  two.write(OK);
  await sleep(20);
  one.write(OK);
  await Promise.all(both);
  const third = ask(proxy.port);
  await eventually('the third request is with the app', () => held.length === 1);
  expect(held[0]).toBe(one);
  held[0]?.write(OK);
  await third;
  expect(proxy.stat('cluster.app.upstream_cx_total')).toBe(2);
  await quiet(proxy);
});

test.each([
  ['says so', (n: number) => named(n).replace('\r\n', '\r\nconnection: close\r\n')],
  ['sends more than it announced', (n: number) => `${named(n)}extra`],
  ['ends the body with the connection', (n: number) => `HTTP/1.1 200 OK\r\n\r\n${n}`],
])('a connection whose app %s is not used again', async (_what, answer) => {
  let n = 0;
  await using app = await listen((socket) => {
    const mine = ++n;
    socket.on('data', () => {
      const text = answer(mine);
      socket.write(text);
      if (!text.includes('content-length')) socket.end();
    });
  });
  await using proxy = await story({ app: app.port });
  expect((await ask(proxy.port)).body).toBe('1');
  expect((await ask(proxy.port)).body).toBe('2');
  await eventually('both are closed', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
  await quiet(proxy);
});

test('bytes that nobody asked for close an idle connection', async () => {
  let socketOfApp: Socket | undefined;
  await using app = await listen((socket) => {
    socketOfApp = socket;
    socket.on('data', () => socket.write(OK));
  });
  await using proxy = await story({ app: app.port });
  await ask(proxy.port);
  socketOfApp?.write('HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nforged!');
  await eventually('the connection is closed', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
  expect((await ask(proxy.port)).body).toBe('ok');
});

test('a connection serves as many requests as it may', async () => {
  await using app = await counting((n) => named(n));
  await using proxy = await story({
    app: app.port,
    cluster: `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    common_http_protocol_options: { max_requests_per_connection: 3 }
    explicit_http_config: { http_protocol_options: {} }`,
  });
  const bodies: string[] = [];
  for (let i = 0; i < 7; i++) bodies.push((await ask(proxy.port)).body);
  expect(bodies).toEqual(['1', '1', '1', '2', '2', '2', '3']);
  expect(proxy.stat('cluster.app.upstream_cx_max_requests')).toBe(2);
});

test("a cluster's older field limits the requests of a connection where the newer one says nothing", async () => {
  await using app = await counting(named);
  await using proxy = await story({ app: app.port, cluster: 'max_requests_per_connection: 1' });
  expect((await ask(proxy.port)).body).toBe('1');
  expect((await ask(proxy.port)).body).toBe('2');
  await proxy.reload(
    proxy.config({
      app: app.port,
      cluster: 'max_requests_per_connection: 1\ncommon_http_protocol_options: { max_requests_per_connection: 0 }',
    }),
  );
  expect((await ask(proxy.port)).body).toBe('3');
  expect((await ask(proxy.port)).body).toBe('3');
});

test('a client that gives up while it waits for a connection gives its place back', async () => {
  await using app = await startApp((_request, response) => setTimeout(() => response.end('ok'), 150));
  await using proxy = await story({
    app: app.port,
    cluster: 'circuit_breakers: { thresholds: [{ max_connections: 1 }] }',
  });
  const running = ask(proxy.port);
  await eventually('one runs', () => proxy.stat('cluster.app.upstream_rq_active') === 1);
  const client = await TestClient.connect(proxy.port);
  client.write(GET);
  await eventually('one waits', () => proxy.stat('cluster.app.upstream_rq_pending_active') === 1);
  client.destroy();
  await eventually('none waits', () => proxy.stat('cluster.app.upstream_rq_pending_active') === 0);
  expect(proxy.stat('cluster.app.upstream_rq_cancelled')).toBe(1);
  expect((await running).status).toBe(200);
  expect((await ask(proxy.port)).status).toBe(200);
  await quiet(proxy);
});

test('requests that waited for a connection do not exceed the limit of requests', async () => {
  let most = 0;
  let now = 0;
  await using app = await startApp((_request, response) => {
    most = Math.max(most, ++now);
    setTimeout(() => {
      now--;
      response.end('ok');
    }, 40);
  });
  await using proxy = await story({
    app: app.port,
    cluster: 'circuit_breakers: { thresholds: [{ max_requests: 2 }] }',
  });
  // All of them ask before the first connection stands.
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(proxy.port)));
  expect(most).toBeLessThanOrEqual(2);
  const codes = answers.map(({ status }) => status);
  expect(codes.filter((code) => code === 200).length).toBe(2);
  expect(codes.filter((code) => code === 503).length).toBe(6);
  await quiet(proxy);
  expect((await ask(proxy.port)).status).toBe(200);
});

test('each routing priority has limits and connections of its own', async () => {
  const held: Socket[] = [];
  await using app = await listen((socket) => socket.on('data', () => held.push(socket)));
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: /vip }
  route: { cluster: app, priority: HIGH }
- match: { prefix: / }
  route: { cluster: app }`,
    cluster: 'circuit_breakers: { thresholds: [{ max_requests: 1 }, { priority: HIGH, max_requests: 2 }] }',
  });
  const running = [ask(proxy.port), ask(proxy.port, { path: '/vip' })];
  await eventually('two run', () => held.length === 2);
  expect((await ask(proxy.port)).status).toBe(503);
  running.push(ask(proxy.port, { path: '/vip' }));
  await eventually('three run', () => held.length === 3);
  expect((await ask(proxy.port, { path: '/vip' })).status).toBe(503);
  for (const socket of held) socket.write(OK);
  expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200, 200]);
  await quiet(proxy);
});

test('closing the proxy ends requests that wait and connections that idle', async () => {
  await using app = await listen((socket) => void socket.resume());
  const proxy = await story({ app: app.port, cluster: 'circuit_breakers: { thresholds: [{ max_connections: 1 }] }' });
  const outcomes = [ask(proxy.port), ask(proxy.port)].map((answer) =>
    answer.then(
      () => 'answered',
      () => 'cut',
    ),
  );
  await eventually('one waits', () => proxy.stat('cluster.app.upstream_rq_pending_active') === 1);
  await proxy[Symbol.asyncDispose]();
  expect((await Promise.all(outcomes)).length).toBe(2);
  await quiet(proxy);
  await eventually('no connection is left', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
});
