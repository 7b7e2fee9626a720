import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, eventually, quiet, readAll, startApp, story } from '../support/story.ts';

const RETRY = (on: string, fields = ''): string =>
  `- match: { prefix: / }\n  route: { cluster: app, retry_policy: { retry_on: "${on}", retry_back_off: { base_interval: 0.002s }${fields} } }`;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** An app that answers each connection's n-th request, counted over all, by `script[n]`. */
async function scripted(script: readonly string[], seen: string[] = []) {
  let n = 0;
  return listen((socket) => {
    socket.on('data', (chunk) => {
      seen.push(chunk.toString('latin1'));
      const act = script[n++] ?? 'ok';
      if (act === 'reset') socket.resetAndDestroy();
      else if (act === 'close') socket.end();
      else if (act === 'ok') socket.write(OK);
      else if (act !== 'silent') socket.write(`HTTP/1.1 ${act}\r\ncontent-length: 0\r\n\r\n`);
    });
  });
}

test.each([
  ['5xx', ['500 A', 'ok'], 200],
  ['gateway-error', ['503 A', 'ok'], 200],
  ['gateway-error', ['500 A', 'ok'], 500],
  ['retriable-4xx', ['409 A', 'ok'], 200],
  ['reset', ['reset', 'ok'], 200],
  ['gateway-error', ['close', 'ok'], 200],
  ['connect-failure', ['reset', 'ok'], 503],
  ['envoy-ratelimited', ['429 A\r\nx-envoy-ratelimited: true', 'ok'], 200],
  ['5xx', ['404 A', 'ok'], 404],
  ['5xx', ['500 A', '500 A', 'ok'], 500],
])('%s: the app answers %j, the client gets %d', async (on, script, status) => {
  await using app = await scripted(script);
  await using proxy = await story({ app: app.port, routes: RETRY(on) });
  expect((await ask(proxy.port)).status).toBe(status);
  await quiet(proxy);
  expect(proxy.stat('cluster.app.circuit_breakers.default.rq_retry_open')).toBe(0);
});

test('status codes and response headers that the policy names are retried', async () => {
  await using app = await scripted(['418 A', '425 A\r\nx-again: yes', 'ok']);
  await using proxy = await story({
    app: app.port,
    routes: RETRY(
      'retriable-status-codes,retriable-headers',
      ', num_retries: 3, retriable_status_codes: [418], retriable_headers: [{ name: x-again, string_match: { exact: "yes" } }]',
    ),
  });
  expect((await ask(proxy.port)).status).toBe(200);
  expect(await proxy.logged(1)).toMatchObject([{ attempts: 3, flags: '-' }]);
  expect(proxy.stat('cluster.app.upstream_rq_retry')).toBe(2);
  expect(proxy.stat('cluster.app.upstream_rq_retry_success')).toBe(1);
});

test('gRPC statuses are retried', async () => {
  await using app = await scripted(['200 OK\r\ngrpc-status: 14', 'ok']);
  await using proxy = await story({ app: app.port, routes: RETRY('unavailable') });
  expect((await ask(proxy.port)).body).toBe('ok');
});

test('exhausted retries are named and counted', async () => {
  await using app = await scripted(Array(9).fill('503 A'));
  await using proxy = await story({ app: app.port, routes: RETRY('5xx', ', num_retries: 2') });
  expect((await ask(proxy.port)).status).toBe(503);
  expect(await proxy.logged(1)).toMatchObject([{ code: 503, flags: 'URX', attempts: 3 }]);
  expect(proxy.stat('cluster.app.upstream_rq_retry_limit_exceeded')).toBe(1);
  await quiet(proxy);
});

test('a request that the policy does not speak of is not retried', async () => {
  await using app = await scripted(['500 A', '500 A', 'ok']);
  await using proxy = await story({
    app: app.port,
    routes: RETRY('5xx', ', retriable_request_headers: [{ name: x-retry, present_match: true }]'),
  });
  expect((await ask(proxy.port)).status).toBe(500);
  expect((await ask(proxy.port, { headers: { 'x-retry': '1' } })).status).toBe(200);
});

test('the body is sent again with every try, whole', async () => {
  const bodies: string[] = [];
  await using app = await startApp((request, response) => {
    void readAll(request).then((body) => {
      bodies.push(body.toString());
      response.statusCode = bodies.length < 3 ? 500 : 200;
      response.end(`${body.length}`);
    });
  });
  await using proxy = await story({ app: app.port, routes: RETRY('5xx', ', num_retries: 3') });
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    bodies.length = 0;
    const body = 'y'.repeat(300_000);
    const answer = await ask(proxy.port, { method: 'POST', body, headers });
    expect([answer.status, answer.body]).toEqual([200, '300000']);
    expect(bodies).toEqual([body, body, body]);
  }
  await quiet(proxy);
});

test('a body that is still coming in when the first try fails is not lost', async () => {
  let tries = 0;
  await using app = await listen((socket) => {
    let got = '';
    const mine = ++tries;
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1');
      if (mine === 1) socket.resetAndDestroy();
      else if (got.endsWith('world')) socket.write(OK);
    });
  });
  await using proxy = await story({ app: app.port, routes: RETRY('reset', ', num_retries: 3') });
  const client = await TestClient.connect(proxy.port);
  client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello ');
  await eventually('the second try has begun', () => tries === 2);
  client.write('world');
  await client.untilText('\r\n\r\nok');
  client.destroy();
  await quiet(proxy);
});

test('a body that is too large to keep is tried once', async () => {
  let tries = 0;
  await using app = await startApp((request, response) => {
    void readAll(request).then(() => {
      tries++;
      response.statusCode = 500;
      response.end();
    });
  });
  await using proxy = await story({
    app: app.port,
    routes: RETRY('5xx'),
    listener: 'per_connection_buffer_limit_bytes: 10000',
  });
  expect((await ask(proxy.port, { method: 'POST', body: 'y'.repeat(50_000) })).status).toBe(500);
  expect(tries).toBe(1);
  expect(proxy.stat('cluster.app.retry_or_shadow_abandoned')).toBe(1);
});

test('a body of any size is kept where there is no limit', async () => {
  let tries = 0;
  await using app = await startApp((request, response) => {
    void readAll(request).then((body) => {
      response.statusCode = ++tries === 1 ? 500 : 200;
      response.end(String(body.length));
    });
  });
  await using proxy = await story({
    app: app.port,
    routes: RETRY('5xx'),
    listener: 'per_connection_buffer_limit_bytes: 0',
  });
  const answer = await ask(proxy.port, { method: 'POST', body: 'y'.repeat(50_000) });
  expect([answer.status, answer.body, tries]).toEqual([200, '50000', 2]);
});

test('concurrent retries are limited, each until its outcome', async () => {
  const held: Socket[] = [];
  let requests = 0;
  await using app = await listen((socket) => {
    socket.on('data', () => {
      if (++requests <= 3) socket.write('HTTP/1.1 500 A\r\ncontent-length: 0\r\n\r\n');
      else held.push(socket);
    });
  });
  await using proxy = await story({
    app: app.port,
    routes: RETRY('5xx'),
    cluster: 'circuit_breakers: { thresholds: [{ max_retries: 2 }] }',
  });
  const answers = [0, 1, 2].map(() => ask(proxy.port));
  await eventually('two retries are with the app', () => held.length === 2);
  expect((await Promise.race(answers)).status).toBe(500);
  expect(proxy.stat('cluster.app.circuit_breakers.default.rq_retry_open')).toBe(1);
  expect(proxy.stat('cluster.app.upstream_rq_retry_overflow')).toBe(1);
  for (const socket of held) socket.write(OK);
  expect((await Promise.all(answers)).map(({ status }) => status).sort()).toEqual([200, 200, 500]);
  expect(proxy.stat('cluster.app.circuit_breakers.default.rq_retry_open')).toBe(0);
  expect((await proxy.logged(3)).filter(({ flags }) => flags === 'UO')).toHaveLength(1);
  await quiet(proxy);
});

test('a client that goes away during the back-off gives its place back', async () => {
  await using app = await scripted(Array(99).fill('500 A'));
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: / }
  route: { cluster: app, retry_policy: { retry_on: 5xx, num_retries: 50, retry_back_off: { base_interval: 2s, max_interval: 2s } } }`,
    cluster: 'circuit_breakers: { thresholds: [{ max_retries: 1 }] }',
  });
  const client = await TestClient.connect(proxy.port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await eventually('it waits', () => proxy.stat('cluster.app.circuit_breakers.default.rq_retry_open') === 1);
  client.destroy();
  await quiet(proxy);
  expect(proxy.stat('cluster.app.circuit_breakers.default.rq_retry_open')).toBe(0);
});

test('a trusted client may ask for retries of its own, and nobody else', async () => {
  await using app = await scripted(['500 A', '500 A', 'ok', '500 A', 'ok']);
  const trust = (range: string): string =>
    `use_remote_address: true\ninternal_address_config: { cidr_ranges: [{ address_prefix: ${range}, prefix_len: 8 }] }`;
  const headers = { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '2' };
  await using trusting = await story({ app: app.port, manager: trust('127.0.0.0') });
  expect((await ask(trusting.port, { headers })).status).toBe(200);
  await using wary = await story({ app: app.port, manager: trust('10.0.0.0') });
  expect((await ask(wary.port, { headers })).status).toBe(500);
});

test('the app and the client learn of the attempts where the virtual host says so', async () => {
  const seen: string[] = [];
  await using app = await scripted(['500 A', 'ok'], seen);
  await using proxy = await story({ app: app.port, routes: RETRY('5xx') });
  await proxy.reload(
    proxy
      .config({ app: app.port, routes: RETRY('5xx') })
      .replace(
        'domains: ["*"]',
        'domains: ["*"]\n              include_request_attempt_count: true\n              include_attempt_count_in_response: true',
      ),
  );
  const answer = await ask(proxy.port);
  expect(answer.headers['x-envoy-attempt-count']).toBe('2');
  expect(seen.map((text) => /x-envoy-attempt-count: (\d)/.exec(text)?.[1])).toEqual(['1', '2']);
});

test('another host is chosen where previous ones are to be avoided', async () => {
  await using bad = await scripted(Array(99).fill('500 A'));
  await using good = await scripted([]);
  await using proxy = await story({
    app: bad.port,
    routes: RETRY(
      '5xx',
      ', num_retries: 1, retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts }], host_selection_retry_max_attempts: 50',
    ),
    cluster: 'lb_policy: RANDOM',
  });
  await proxy.reload(
    proxy
      .config({
        app: bad.port,
        cluster: 'lb_policy: RANDOM',
        routes: RETRY(
          '5xx',
          ', num_retries: 1, retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts }], host_selection_retry_max_attempts: 50',
        ),
      })
      .replace(/( *)- endpoint: \{[^\n]*\n/, (line) => line + line.replace(String(bad.port), String(good.port))),
  );
  for (let i = 0; i < 20; i++) expect((await ask(proxy.port)).status).toBe(200);
});

test('a kept-alive connection that its app closed costs an idempotent request nothing, and a POST is not sent twice', async () => {
  for (const [method, expected] of [
    ['GET', 200],
    ['PUT', 200],
    ['DELETE', 200],
    ['POST', 503],
  ] as const) {
    const requests: string[] = [];
    let connections = 0;
    await using app = await listen((socket) => {
      const mine = ++connections;
      let served = 0;
      socket.on('data', (chunk) => {
        requests.push(chunk.toString().split(' ')[0] ?? '');
        // The first connection takes its second request and dies, as one does that was closed at the same moment.
        if (mine === 1 && ++served === 2) socket.destroy();
        else socket.write(OK);
      });
    });
    await using proxy = await story({ app: app.port });
    expect((await ask(proxy.port, { method })).status).toBe(200);
    const answer = await ask(proxy.port, { method });
    expect([method, answer.status]).toEqual([method, expected]);
    expect(requests).toHaveLength(expected === 200 ? 3 : 2);
    expect((await proxy.logged(2))[1]).toMatchObject({ flags: expected === 200 ? '-' : 'UC' });
    await quiet(proxy);
  }
});

test('a first connection that dies is no reason to send a request twice', async () => {
  await using app = await scripted(['close', 'ok']);
  await using proxy = await story({ app: app.port });
  expect((await ask(proxy.port)).status).toBe(503);
});

test('waiting grows with the retries and follows the app’s own wish', async () => {
  const times: number[] = [];
  await using app = await startApp((_request, response) => {
    times.push(performance.now());
    response.statusCode = times.length === 1 ? 503 : 200;
    if (times.length === 1) response.setHeader('retry-after', '1');
    response.end();
  });
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: / }
  route:
    cluster: app
    retry_policy: { retry_on: 5xx, rate_limited_retry_back_off: { reset_headers: [{ name: Retry-After, format: SECONDS }], max_interval: 5s } }`,
  });
  expect((await ask(proxy.port)).status).toBe(200);
  expect((times[1] as number) - (times[0] as number)).toBeGreaterThan(990);
});
