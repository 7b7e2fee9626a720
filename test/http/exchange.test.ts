import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, echo, echoed, eventually, quiet, readAll, sleep, startApp, story } from '../support/story.ts';

const sha = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');
const SIZES = [0, 1, 100, 8191, 8192, 8193, 65_535, 65_536, 65_537, 262_144, 300_001, 3_000_000];

test('a connection serves request after request, and so does the one to the app', async () => {
  let connections = 0;
  await using app = await startApp(echo());
  app.server.on('connection', () => connections++);
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  for (let i = 1; i <= 20; i++) {
    client.write(`GET /${i} HTTP/1.1\r\nhost: a\r\n\r\n`);
    await client.until(({ text }) => text.split('"trailers":{}}').length === i + 1);
  }
  expect([...client.text.matchAll(/"path":"\/(\d+)"/g)].map(([, n]) => Number(n))).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  expect(connections).toBe(1);
  expect(proxy.stat('http.test.downstream_cx_total')).toBe(1);
  expect(proxy.stat('cluster.app.upstream_cx_total')).toBe(1);
  client.destroy();
  await quiet(proxy);
});

test('pipelined requests are answered in their order, however long each takes', async () => {
  await using app = await startApp((request, response) => {
    const [, delay] = /delay=(\d+)/.exec(request.url ?? '') ?? [];
    void readAll(request).then((body) => setTimeout(() => response.end(`<${request.url} ${body}>`), Number(delay)));
  });
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  const delays = [60, 0, 30, 0, 10, 0];
  client.write(
    delays.map((ms, i) => `POST /${i}?delay=${ms} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n${i}${i}`).join(''),
  );
  await client.untilText('<5'.replace('<5', '</5'));
  expect(client.text.match(/<[^>]*>/g)).toEqual(delays.map((ms, i) => `</${i}?delay=${ms} ${i}${i}>`));
  client.destroy();
});

test('bodies of all sizes go up and down unchanged, with a length and in chunks', async () => {
  await using app = await startApp((request, response) => {
    void readAll(request).then((body) => {
      response.setHeader('x-up', sha(body));
      const down = randomBytes(Number(request.headers['x-size']));
      response.setHeader('x-down', sha(down));
      if (request.headers['x-framing'] === 'length') response.setHeader('content-length', down.length);
      else response.flushHeaders();
      response.end(down);
    });
  });
  await using proxy = await story({ app: app.port });
  for (const framing of ['length', 'chunked']) {
    for (const size of SIZES) {
      const up = randomBytes(size);
      const headers: Record<string, string> = { 'x-size': String(size), 'x-framing': framing };
      if (framing === 'chunked') headers['transfer-encoding'] = 'chunked';
      const answer = await ask(proxy.port, { method: 'POST', body: up, headers });
      expect([framing, size, answer.headers['x-up']]).toEqual([framing, size, sha(up)]);
      expect(sha(Buffer.from(answer.body, 'latin1'))).toBe(answer.headers['x-down']);
      expect(answer.headers['content-length']).toBe(framing === 'length' ? String(size) : undefined);
    }
  }
  await quiet(proxy);
  const logged = await proxy.logged(2 * SIZES.length);
  expect(logged.map(({ received }) => received)).toEqual([...SIZES, ...SIZES]);
  expect(logged.map(({ sent }) => sent)).toEqual([...SIZES, ...SIZES]);
});

test('trailers pass both ways where they are enabled', async () => {
  await using app = await startApp((request, response) => {
    void readAll(request).then(() => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('body');
      response.addTrailers({ 'x-sum': request.trailers['x-sum'] ?? 'none' });
      response.end();
    });
  });
  await using proxy = await story({
    app: app.port,
    manager: 'http_protocol_options: { enable_trailers: true }',
    cluster: `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http_protocol_options: { enable_trailers: true } }`,
  });
  const client = await TestClient.connect(proxy.port);
  client.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n');
  await client.untilText('x-sum: 42\r\n\r\n');
  client.destroy();
});

/** Sends without end until nothing more is taken, and tells how much that was. */
async function fill(socket: Socket, limit: number): Promise<number> {
  const chunk = Buffer.alloc(65_536, 'x');
  let sent = 0;
  let quietSince = Date.now();
  while (sent < limit && Date.now() - quietSince < 300) {
    if (socket.writableLength < 65_536) {
      socket.write(chunk);
      sent += chunk.length;
      quietSince = Date.now();
    }
    await sleep(0);
  }
  return sent - socket.writableLength;
}

const FULL = 40 * 1024 * 1024;
/** What kernels and buffers along the way may hold. */
const HELD = 16 * 1024 * 1024;

test('an app that does not read stops the upload, and gets all of it once it reads', async () => {
  let reader: Socket | undefined;
  await using app = await listen((socket) => {
    socket.pause();
    reader = socket;
  });
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${FULL}\r\n\r\n`);
  const before = process.memoryUsage.rss();
  const taken = await fill(client.socket, FULL);
  expect(taken).toBeLessThan(HELD);
  expect(process.memoryUsage.rss() - before).toBeLessThan(2 * HELD);
  let got = 0;
  reader?.on('data', (chunk: Buffer) => {
    got += chunk.length;
    if (got >= FULL) reader?.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
  reader?.resume();
  await fill(client.socket, FULL - taken - client.socket.writableLength);
  await client.untilText('\r\n\r\nok', 10_000);
  client.destroy();
  await quiet(proxy);
});

test('a client that does not read stops the download, and gets all of it once it reads', async () => {
  let sent = 0;
  await using app = await listen((socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${FULL}\r\n\r\n`);
      void fill(socket, FULL).then(async (taken) => {
        sent = taken;
        await eventually('the client reads on', () => released, 10_000);
        const rest = FULL - taken - socket.writableLength;
        for (let left = rest; left > 0; left -= 65_536) {
          if (!socket.write(Buffer.alloc(Math.min(left, 65_536), 'x')))
            await new Promise((done) => socket.once('drain', done));
        }
      });
    });
  });
  let released = false;
  await using proxy = await story({ app: app.port });
  const { socket } = await TestClient.connect(proxy.port);
  socket.removeAllListeners('data');
  socket.pause();
  const before = process.memoryUsage.rss();
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await eventually('nothing more is taken', () => sent > 0, 10_000);
  expect(sent).toBeLessThan(HELD);
  expect(process.memoryUsage.rss() - before).toBeLessThan(2 * HELD);
  released = true;
  let got = 0;
  socket.on('data', (chunk) => {
    got += chunk.length;
  });
  socket.resume();
  await eventually('everything arrives', () => got > FULL, 10_000);
  socket.destroy();
  await quiet(proxy);
});

test('a client that pipelines without reading holds up nobody’s memory', async () => {
  let served = 0;
  await using app = await startApp((_request, response) => {
    served++;
    response.end(Buffer.alloc(200_000, 'x'));
  });
  await using proxy = await story({ app: app.port });
  const { socket } = await TestClient.connect(proxy.port);
  socket.removeAllListeners('data');
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(400));
  let before = -1;
  while (served !== before) {
    before = served;
    await sleep(300);
  }
  expect(served * 200_000).toBeLessThan(HELD);
  let got = 0;
  socket.on('data', (chunk) => {
    got += chunk.length;
  });
  socket.resume();
  await eventually('all responses arrive', () => got > 400 * 200_000, 10_000);
  socket.destroy();
  await quiet(proxy);
});

test('a client that goes away at any byte of its request leaves nothing behind', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  const text =
    'POST /up HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n';
  for (let at = 1; at <= text.length; at++) {
    const client = await TestClient.connect(proxy.port);
    client.write(text.slice(0, at));
    if (at % 3 === 0) await sleep(1);
    if (at % 2 === 0) client.socket.resetAndDestroy();
    else client.destroy();
  }
  await quiet(proxy);
  expect((await ask(proxy.port)).status).toBe(200);
  const lines = await proxy.log();
  expect(lines.length).toBe(proxy.stat('http.test.downstream_rq_total'));
  for (const { code, flags } of lines) expect(`${code} ${flags}`).toMatch(/^(0 DC|200 (-|DC))$/);
});

test('an app that goes away at any byte of its response is told of as such', async () => {
  const text =
    'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n';
  const headEnd = text.indexOf('\r\n\r\n') + 4;
  let at = 0;
  await using app = await listen((socket) => {
    socket.once('data', () => {
      socket.write(text.slice(0, at));
      setTimeout(() => (at % 2 === 0 ? socket.destroy() : socket.end()), 2);
    });
  });
  await using proxy = await story({ app: app.port });
  for (at = 0; at <= text.length; at++) {
    const outcome = await ask(proxy.port).then(
      ({ status, body }) => `${status} ${body}`,
      () => 'cut',
    );
    if (at < headEnd) expect([at, outcome.slice(0, 3)]).toEqual([at, at === 0 ? '503' : '502']);
    else if (at < text.length) expect([at, outcome]).toEqual([at, 'cut']);
    else expect([at, outcome]).toEqual([at, '200 hello world']);
  }
  await quiet(proxy);
  const lines = await proxy.logged(text.length + 1);
  expect(new Set(lines.map(({ code, flags }) => `${code} ${flags}`))).toEqual(
    new Set(['503 UC', '502 UPE', '200 UPE', '200 -']),
  );
});

test('an app that answers before it has the body ends the upload', async () => {
  await using app = await listen((socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\n\r\nbig'));
    socket.resume();
  });
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n');
  client.write('x'.repeat(1000));
  await client.untilText('\r\n\r\nbig');
  expect(client.text).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close\r\n/);
  await client.untilClosed();
  await quiet(proxy);
});

test('the client’s wait for 100 ends at the proxy, or at the app where that is configured', async () => {
  const seen: unknown[] = [];
  await using app = await startApp(echo());
  app.server.on('checkContinue', (request, response) => {
    seen.push(request.headers.expect);
    response.writeContinue();
    echo()(request, response);
  });
  for (const manager of ['', 'proxy_100_continue: true']) {
    await using proxy = await story({ app: app.port, manager });
    const client = await TestClient.connect(proxy.port);
    client.write('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n');
    await client.untilText('HTTP/1.1 100 Continue\r\n\r\n');
    client.write('hello');
    await client.untilText('"body":"hello"');
    expect(client.text.split('HTTP/1.1').length).toBe(3);
    client.destroy();
  }
  expect(seen).toEqual(['100-continue']);
});

test('interim responses go to the client in front of the final one, where they may', async () => {
  await using app = await startApp((_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    response.writeProcessing();
    setTimeout(() => response.end('final'), 5);
  });
  await using proxy = await story({ app: app.port, manager: 'proxy_100_continue: true' });
  const client = await TestClient.connect(proxy.port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.untilText('final');
  expect(client.text).toMatch(
    /^HTTP\/1.1 103 Early Hints\r\nlink: <\/style.css>; rel=preload\r\n\r\nHTTP\/1.1 102 Processing\r\n\r\nHTTP\/1.1 200 OK\r\n/i,
  );
  client.destroy();
});

test('responses without a body leave the connection in step', async () => {
  await using app = await startApp((request, response) => {
    if (request.method === 'HEAD') response.setHeader('content-length', '1234');
    response.statusCode = Number(request.url?.slice(1)) || 200;
    response.end();
  });
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  client.write(
    ['HEAD /200', 'GET /204', 'GET /304', 'HEAD /404', 'GET /200']
      .map((line) => `${line} HTTP/1.1\r\nhost: a\r\n\r\n`)
      .join(''),
  );
  await client.until(({ text }) => text.split('HTTP/1.1 ').length === 6 && text.endsWith('\r\n\r\n'));
  expect(client.text.match(/HTTP\/1.1 \d+/g)).toEqual(
    ['200', '204', '304', '404', '200'].map((code) => `HTTP/1.1 ${code}`),
  );
  expect(client.text.match(/content-length: 1234/g)).toHaveLength(2);
  expect(client.text).not.toContain('chunked');
  client.destroy();
});

test('HTTP/1.0 is refused by default, and served where it is accepted', async () => {
  await using app = await startApp((_request, response) => {
    response.write('part');
    response.end('s');
  });
  await using strict = await story({ app: app.port });
  const refused = await TestClient.connect(strict.port);
  refused.write('GET / HTTP/1.0\r\n\r\n');
  await refused.untilClosed();
  expect(refused.text).toMatch(/^HTTP\/1.1 426 /);
  await using open = await story({
    app: app.port,
    manager: 'http_protocol_options: { accept_http_10: true, default_host_for_http_10: fallback }',
  });
  const old = await TestClient.connect(open.port);
  old.write('GET / HTTP/1.0\r\n\r\n');
  await old.untilClosed();
  expect(old.text).toMatch(/\r\n\r\nparts$/);
  expect(old.text).not.toContain('chunked');
});

test('what the proxy does to requests arrives at the app', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    manager: 'use_remote_address: true\nvia: edge\nserver_name: mine',
    routes: `- match: { prefix: /api }
  route: { cluster: app, prefix_rewrite: /v1, host_rewrite_literal: inner, timeout: 7s }
  request_headers_to_add: [{ header: { key: x-path, value: "%REQ(:PATH)%" } }]
  response_headers_to_add: [{ header: { key: x-cluster, value: "%UPSTREAM_CLUSTER%" } }]`,
  });
  const answer = await ask(proxy.port, {
    path: '/api/x?y=1',
    headers: { 'x-envoy-retry-on': '5xx', host: 'outer:99' },
  });
  const { path, headers } = echoed(answer);
  expect(path).toBe('/v1/x?y=1');
  expect(headers).toMatchObject({
    host: 'inner',
    'x-path': '/api/x?y=1',
    'x-envoy-original-path': '/api/x?y=1',
    'x-envoy-expected-rq-timeout-ms': '7000',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    via: 'edge',
  });
  expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  expect(headers['x-envoy-retry-on']).toBeUndefined();
  expect(answer.headers).toMatchObject({ server: 'mine', 'x-cluster': 'app', via: 'edge' });
  expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/);
});

test('statistics add up, and nothing stays active', async () => {
  await using app = await startApp((request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    response.end('x');
  });
  await using proxy = await story({ app: app.port });
  for (const code of [200, 201, 301, 404, 404, 500, 503]) await ask(proxy.port, { path: `/${code}` });
  await quiet(proxy);
  const stats = Object.fromEntries(
    [
      'http.test.downstream_rq_total',
      'http.test.downstream_rq_completed',
      'http.test.downstream_rq_2xx',
      'http.test.downstream_rq_3xx',
      'http.test.downstream_rq_4xx',
      'http.test.downstream_rq_5xx',
      'http.test.rq_total',
      'cluster.app.upstream_rq_total',
      'cluster.app.upstream_rq_completed',
      'cluster.app.upstream_rq_404',
      'cluster.app.upstream_rq_5xx',
      'cluster.app.upstream_cx_active',
    ].map((name) => [name.split('.').at(-1), proxy.stat(name)]),
  );
  expect(stats).toEqual({
    downstream_rq_total: 7,
    downstream_rq_completed: 7,
    downstream_rq_2xx: 2,
    downstream_rq_3xx: 1,
    downstream_rq_4xx: 2,
    downstream_rq_5xx: 2,
    rq_total: 7,
    upstream_rq_total: 7,
    upstream_rq_completed: 7,
    upstream_rq_404: 2,
    upstream_rq_5xx: 2,
    upstream_cx_active: 1,
  });
});

test('a slow reader of a connection that closes afterwards gets everything', async () => {
  const body = randomBytes(6_000_000);
  await using app = await startApp((_request, response) => response.end(body));
  await using proxy = await story({ app: app.port, manager: 'delayed_close_timeout: 0.1s' });
  const got = await new Promise<Buffer>((resolve, reject) => {
    const request = httpRequest(
      { port: proxy.port, host: '127.0.0.1', agent: false, headers: { connection: 'close' } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          response.pause();
          setTimeout(() => response.resume(), 5);
        });
        response.on('end', () => resolve(Buffer.concat(chunks)));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end();
  });
  expect(sha(got)).toBe(sha(body));
});
