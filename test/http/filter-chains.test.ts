import { expect, test } from 'vitest';
import { ask, echo, echoed, startApp, story } from '../support/story.ts';

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
