import { expect, test } from 'vitest';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, echo, quiet, sleep, startApp, story } from '../support/story.ts';

const ROUTE = (fields: string): string => `- match: { prefix: / }\n  route: { cluster: app, ${fields} }`;
/** An app that takes connections and says nothing. */
const silent = () => listen((socket) => void socket.resume());
const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
/** A head whose body never comes. */
const HALF = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf';

async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  return [await work, performance.now() - start];
}

test('the route’s time is up: 504', async () => {
  await using app = await silent();
  await using proxy = await story({ app: app.port, routes: ROUTE('timeout: 0.15s') });
  const [answer, ms] = await timed(ask(proxy.port));
  expect([answer.status, answer.body]).toEqual([504, 'upstream request timeout']);
  expect(ms).toBeGreaterThan(145);
  expect(ms).toBeLessThan(600);
  expect(await proxy.logged(1)).toMatchObject([{ code: 504, flags: 'UT', details: 'response_timeout' }]);
  expect(proxy.stat('cluster.app.upstream_rq_timeout')).toBe(1);
  await quiet(proxy);
});

test('the route’s time runs from the end of the request: a slow upload does not use it up', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port, routes: ROUTE('timeout: 0.1s') });
  const client = await TestClient.connect(proxy.port);
  client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n');
  for (const letter of 'hello') {
    await sleep(60);
    client.write(letter);
  }
  await client.untilText('"body":"hello"');
  client.destroy();
});

test('a filter that takes its time does not use up the route’s', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    routes: ROUTE('timeout: 0.1s'),
    filters: [{ onRequest: () => sleep(200) }],
  });
  expect((await ask(proxy.port)).status).toBe(200);
});

test('the route’s time counts for the whole response: one that trickles is cut', async () => {
  await using app = await startApp((_request, response) => {
    const timer = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(timer));
  });
  await using proxy = await story({ app: app.port, routes: ROUTE('timeout: 0.15s') });
  await expect(ask(proxy.port)).rejects.toThrow();
  expect(await proxy.logged(1)).toMatchObject([{ code: 200, flags: 'UT' }]);
  await quiet(proxy);
});

test('a trusted client may ask for another time', async () => {
  await using app = await silent();
  await using proxy = await story({
    app: app.port,
    manager:
      'use_remote_address: true\ninternal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }',
  });
  const [answer, ms] = await timed(ask(proxy.port, { headers: { 'x-envoy-upstream-rq-timeout-ms': '100' } }));
  expect(answer.status).toBe(504);
  expect(ms).toBeLessThan(1000);
});

test('each try has its own time, and the last one says so', async () => {
  await using app = await silent();
  await using proxy = await story({
    app: app.port,
    routes: ROUTE(
      'timeout: 5s, retry_policy: { retry_on: 5xx, num_retries: 2, per_try_timeout: 0.08s, retry_back_off: { base_interval: 0.001s } }',
    ),
  });
  const [answer, ms] = await timed(ask(proxy.port));
  expect(answer.status).toBe(504);
  expect(ms).toBeGreaterThan(3 * 79);
  expect(ms).toBeLessThan(1500);
  expect(await proxy.logged(1)).toMatchObject([{ flags: 'UT,URX', details: 'upstream_per_try_timeout', attempts: 3 }]);
  expect(proxy.stat('cluster.app.upstream_rq_per_try_timeout')).toBe(3);
  await quiet(proxy);
});

test('a try that is silent for too long is given up, one that trickles is not', async () => {
  await using app = await startApp((request, response) => {
    if (request.url === '/silent') return;
    let count = 0;
    const timer = setInterval(() => {
      response.write('x');
      if (++count === 6) {
        clearInterval(timer);
        response.end();
      }
    }, 40);
  });
  await using proxy = await story({
    app: app.port,
    routes: ROUTE('timeout: 5s, retry_policy: { retry_on: connect-failure, per_try_idle_timeout: 0.12s }'),
  });
  expect((await ask(proxy.port, { path: '/trickle' })).body).toBe('xxxxxx');
  const answer = await ask(proxy.port, { path: '/silent' });
  expect(answer.status).toBe(504);
  expect((await proxy.logged(2))[1]).toMatchObject({ flags: 'UT', details: 'upstream_per_try_idle_timeout' });
  await quiet(proxy);
});

test.each([
  [
    'a request that does not come in',
    HALF,
    'request_timeout: 0.1s',
    408,
    'request timeout',
    '-',
    'request_overall_timeout',
  ],
  ['a head that does not come in', 'GET / HT', 'request_headers_timeout: 0.1s', 408, '', '-', 'request_header_timeout'],
  [
    'a stream on which the client is silent',
    HALF,
    'stream_idle_timeout: 0.1s',
    408,
    'stream timeout',
    'SI',
    'stream_idle_timeout',
  ],
  [
    'a stream on which the app is silent',
    GET,
    'stream_idle_timeout: 0.1s',
    504,
    'stream timeout',
    'SI',
    'stream_idle_timeout',
  ],
  [
    'a stream that lasts too long',
    GET,
    'common_http_protocol_options: { max_stream_duration: 0.1s }',
    504,
    'downstream duration timeout',
    '-',
    'max_duration_timeout',
  ],
  [
    'an upload that lasts too long',
    HALF,
    'common_http_protocol_options: { max_stream_duration: 0.1s }',
    408,
    'downstream duration timeout',
    '-',
    'max_duration_timeout',
  ],
] as const)('%s ends with %s', async (_what, text, manager, code, body, flags, details) => {
  await using app = await silent();
  await using proxy = await story({ app: app.port, manager });
  const client = await TestClient.connect(proxy.port);
  const start = performance.now();
  client.write(text);
  await client.untilText('\r\n\r\n', 2000);
  expect(performance.now() - start).toBeGreaterThan(95);
  expect(client.text).toMatch(new RegExp(`^HTTP/1.1 ${code} `));
  if (body !== '') await client.untilText(body);
  client.destroy();
  expect(await proxy.logged(1)).toMatchObject([{ code, flags, details }]);
  await quiet(proxy);
});

test('a route overrides idle time and duration, 0 switches them off', async () => {
  await using app = await startApp((_request, response) => setTimeout(() => response.end('late'), 250));
  await using proxy = await story({
    app: app.port,
    manager: 'stream_idle_timeout: 0.1s\ncommon_http_protocol_options: { max_stream_duration: 0.12s }',
    routes: `- match: { path: /free }
  route: { cluster: app, idle_timeout: 0s, max_stream_duration: { max_stream_duration: 0s } }
- match: { path: /idle }
  route: { cluster: app, idle_timeout: 0.05s }
- match: { path: /long }
  route: { cluster: app, idle_timeout: 0s, max_stream_duration: { max_stream_duration: 0.05s } }
- match: { path: /grpc }
  route: { cluster: app, idle_timeout: 0s, max_stream_duration: { grpc_timeout_header_max: 0s } }
- match: { prefix: / }
  route: { cluster: app }`,
  });
  expect((await ask(proxy.port, { path: '/free' })).body).toBe('late');
  const details: string[] = [];
  for (const path of ['/idle', '/long', '/']) {
    const [answer, ms] = await timed(ask(proxy.port, { path }));
    expect([path, answer.status]).toEqual([path, 504]);
    expect(ms).toBeLessThan(220);
  }
  const [answer] = await timed(ask(proxy.port, { path: '/grpc', headers: { 'grpc-timeout': '80m' } }));
  expect(answer.status).toBe(504);
  for (const line of await proxy.logged(5)) details.push(line.details);
  expect(details).toEqual([
    'via_upstream',
    'stream_idle_timeout',
    'max_duration_timeout',
    'stream_idle_timeout',
    'max_duration_timeout',
  ]);
  await quiet(proxy);
});

test('an idle connection is closed, one in use is not', async () => {
  await using app = await startApp((_request, response) => setTimeout(() => response.end('late'), 250));
  await using proxy = await story({ app: app.port, manager: 'common_http_protocol_options: { idle_timeout: 0.1s }' });
  const client = await TestClient.connect(proxy.port);
  client.write(GET);
  await client.untilText('late');
  expect(client.ended).toBe(false);
  await client.untilClosed(1000);
  expect(proxy.stat('http.test.downstream_cx_idle_timeout')).toBe(1);
  await quiet(proxy);
});

test('an idle connection to the app is closed', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    cluster: `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    common_http_protocol_options: { idle_timeout: 0.1s }
    explicit_http_config: { http_protocol_options: {} }`,
  });
  await ask(proxy.port);
  expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(1);
  await sleep(250);
  expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(0);
  expect(proxy.stat('cluster.app.upstream_cx_idle_timeout')).toBe(1);
});

test('with http1_safe_max_connection_duration an old connection ends with a response, however long it idles', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    manager: `drain_timeout: 0.05s
http1_safe_max_connection_duration: true
common_http_protocol_options: { max_connection_duration: 0.1s }`,
  });
  const client = await TestClient.connect(proxy.port);
  client.write(GET);
  await client.untilText('"trailers"');
  await sleep(400);
  expect(client.ended).toBe(false);
  client.write(GET);
  await client.untilClosed();
  expect(client.text.split('connection: close')).toHaveLength(2);
});

test('a connection that has lasted long enough ends after its request', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    manager: 'common_http_protocol_options: { max_connection_duration: 0.15s }',
  });
  const client = await TestClient.connect(proxy.port);
  client.write(GET);
  await client.untilText('"trailers"');
  expect(client.text).not.toContain('connection: close');
  await sleep(200);
  if (!client.ended) {
    client.write(GET);
    await client.untilClosed(7000);
    expect(client.text).toContain('connection: close');
  }
  client.destroy();
  await quiet(proxy);
});
