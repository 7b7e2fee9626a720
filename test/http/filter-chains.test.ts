import { expect, test } from 'vitest';
import { TestClient } from '../support/sockets.ts';
import { ask, echo, echoed, type StoryFilter, sleep, startApp, story } from '../support/story.ts';

test('a filter that changes what routes match on gets the new route when it says so', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: /old }
  direct_response: { status: 410 }
- match: { prefix: /new }
  name: new
  route: { cluster: app }`,
    filters: [
      {
        onRequest(request, stream) {
          if (request.has('x-move')) request.path = '/new/place';
          if (request.get('x-move') === 'tell') stream.clearRouteCache();
        },
      },
    ],
  });
  expect((await ask(proxy.port, { path: '/old', headers: { 'x-move': 'quiet' } })).status).toBe(410);
  const moved = await ask(proxy.port, { path: '/old', headers: { 'x-move': 'tell' } });
  expect(echoed(moved).path).toBe('/new/place');
  expect((await proxy.logged(2))[1]).toMatchObject({ route: 'new' });
});

test('a route overrides a filter’s configuration, or switches it off', async () => {
  await using app = await startApp(echo());
  const limit = (bytes: number): string =>
    `{ "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute, buffer: { max_request_bytes: ${bytes} } }`;
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: /small }
  route: { cluster: app }
  typed_per_filter_config: { buffer: ${limit(10)} }
- match: { prefix: /off }
  route: { cluster: app }
  typed_per_filter_config:
    buffer: { "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }
- match: { prefix: / }
  route: { cluster: app }`,
    filters: [
      `- name: buffer
  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 100 }`,
    ],
  });
  const status = async (path: string, size: number): Promise<number> =>
    (await ask(proxy.port, { path, method: 'POST', body: 'x'.repeat(size) })).status;
  expect(await status('/small', 10)).toBe(200);
  expect(await status('/small', 11)).toBe(413);
  expect(await status('/', 100)).toBe(200);
  expect(await status('/', 101)).toBe(413);
  expect(await status('/off', 5000)).toBe(200);
});

test('framing that a filter writes is not believed', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        onRequest(request) {
          request.set('content-length', '99999');
          request.add('transfer-encoding', 'chunked');
          request.add('connection', 'close');
        },
        onResponse(response) {
          response.set('content-length', '1');
          response.add('transfer-encoding', 'gzip');
        },
      },
    ],
  });
  const client = await TestClient.connect(proxy.port);
  client.write('POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello');
  await client.untilText('"trailers":{}}');
  const [head = '', body = ''] = client.text.split('\r\n\r\n');
  expect(JSON.parse(body)).toMatchObject({ body: 'hello', headers: { 'content-length': '5' } });
  expect(JSON.parse(body).headers['transfer-encoding']).toBeUndefined();
  expect(head.match(/content-length: \d+/g)).toEqual([`content-length: ${body.length}`]);
  expect(head).not.toContain('transfer-encoding');
  client.destroy();
});

test('behind a filter that changes the route, the new route’s policies decide, and every filter hears of the end once', async () => {
  await using app = await startApp(echo());
  const perRoute = (bytes: number): string =>
    `{ "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute, buffer: { max_request_bytes: ${bytes} } }`;
  const off = '{ "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }';
  const seen: string[] = [];
  const mover = (wait: boolean): StoryFilter => ({
    onRequest(request, stream) {
      if (request.has('x-wait') !== wait) return undefined;
      request.path = request.get('x-to') ?? request.path;
      stream.clearRouteCache();
      return wait ? sleep(1) : undefined;
    },
    onDone: () => void seen.push(`mover ${wait}`),
  });
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: /small }
  route: { cluster: app }
  typed_per_filter_config: { buffer: ${perRoute(10)} }
- match: { prefix: /off }
  route: { cluster: app }
  typed_per_filter_config: { buffer: ${off} }
- match: { prefix: / }
  route: { cluster: app }`,
    filters: [
      mover(false),
      mover(true),
      `- name: buffer
  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 100 }`,
      {
        onRequest: (_request, stream) => void seen.push(`last ${stream.route?.clusterName}`),
        onDone: () => void seen.push('last done'),
      },
    ],
  });
  const status = async (path: string, to: string, size: number, wait: boolean): Promise<number> => {
    const headers: Record<string, string> = { 'x-to': to, ...(wait ? { 'x-wait': '1' } : {}) };
    return (await ask(proxy.port, { path, method: 'POST', body: 'x'.repeat(size), headers })).status;
  };
  for (const wait of [false, true]) {
    expect(await status('/', '/small', 11, wait)).toBe(413);
    expect(await status('/off', '/small', 11, wait)).toBe(413);
    expect(await status('/small', '/', 50, wait)).toBe(200);
    expect(await status('/small', '/off', 5000, wait)).toBe(200);
  }
  expect(seen.filter((line) => line === 'last done')).toHaveLength(8);
  expect(seen.filter((line) => line === 'mover true')).toHaveLength(8);
  expect(seen.filter((line) => line === 'last app')).toHaveLength(4);
});
