import { rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listen } from '../support/sockets.ts';
import { ask, echo, echoed, eventually, quiet, readAll, startApp, story } from '../support/story.ts';

/** YAML of one more cluster. */
const cluster = (name: string, port: number, fields = ''): string => `- name: ${name}
  connect_timeout: 0.2s
${fields === '' ? '' : `  ${fields}\n`}  load_assignment:
    cluster_name: ${name}
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = await listen(() => {});
  await server[Symbol.asyncDispose]();
  return server.port;
}

test('requests that lead nowhere say why', async () => {
  const dead = await deadPort();
  await using proxy = await story({
    app: dead,
    routes: `- match: { prefix: /nobody }
  route: { cluster: app }
- match: { prefix: /empty }
  route: { cluster: empty }
- match: { prefix: /named }
  route: { cluster_header: x-cluster }
- match: { prefix: /teapot }
  direct_response: { status: 418, body: { inline_string: tea } }
- match: { prefix: /moved }
  redirect: { path_redirect: /there }`,
    clusters: '- name: empty\n  load_assignment: { cluster_name: empty }',
  });
  const outcomes: unknown[] = [];
  for (const path of ['/nobody', '/empty', '/named', '/teapot', '/moved', '/else']) {
    const { status, body, headers } = await ask(proxy.port, { path, headers: { 'x-cluster': 'missing' } });
    outcomes.push([path, status, body, headers.location]);
  }
  expect(outcomes).toEqual([
    [
      '/nobody',
      503,
      'upstream connect error or disconnect/reset before headers. reset reason: remote connection failure',
      undefined,
    ],
    ['/empty', 503, 'no healthy upstream', undefined],
    ['/named', 503, '', undefined],
    ['/teapot', 418, 'tea', undefined],
    ['/moved', 301, '', 'http://127.0.0.1/there'.replace('127.0.0.1', `127.0.0.1:${proxy.port}`)],
    ['/else', 404, '', undefined],
  ]);
  expect((await proxy.logged(6)).map(({ flags, details }) => `${flags} ${details}`)).toEqual([
    'UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
    'UH no_healthy_upstream',
    'NC cluster_not_found',
    '- direct_response',
    '- direct_response',
    'NR route_not_found',
  ]);
  expect(proxy.stat('http.test.no_route')).toBe(1);
  expect(proxy.stat('http.test.no_cluster')).toBe(1);
  expect(proxy.stat('http.test.rq_direct_response')).toBe(2);
  await quiet(proxy);
});

test.each([
  ['requests', 'max_requests: 2', 2],
  ['pending requests', 'max_connections: 1, max_pending_requests: 2', 2],
])('more %s than the circuit breaker allows overflow', async (_what, thresholds, allowed) => {
  let release = (): void => {};
  const gate = new Promise<void>((done) => {
    release = done;
  });
  await using app = await startApp((_request, response) => void gate.then(() => response.end('ok')));
  await using proxy = await story({ app: app.port, cluster: `circuit_breakers: { thresholds: [{ ${thresholds} }] }` });
  const active = () =>
    proxy.stat('cluster.app.upstream_rq_active') + proxy.stat('cluster.app.upstream_rq_pending_active');
  const answers: ReturnType<typeof ask>[] = [];
  const before = thresholds.includes('connections') ? 1 : 0;
  for (let i = 1; i <= allowed + before; i++) {
    answers.push(ask(proxy.port));
    await eventually(`${i} are under way`, () => active() === i);
  }
  const refused = await ask(proxy.port);
  expect([refused.status, refused.headers['x-envoy-overloaded']]).toEqual([503, 'true']);
  expect(refused.body).toContain('reset reason: overflow');
  expect(await proxy.logged(1)).toMatchObject([
    { flags: 'UO', details: 'upstream_reset_before_response_started{overflow}' },
  ]);
  release();
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(answers.map(() => 200));
  await quiet(proxy);
  for (const gauge of ['rq_open', 'rq_pending_open']) {
    expect(proxy.stat(`cluster.app.circuit_breakers.default.${gauge}`)).toBe(0);
  }
});

test('a connection limit makes requests wait for their turn, not fail', async () => {
  let now = 0;
  let most = 0;
  await using app = await startApp((_request, response) => {
    most = Math.max(most, ++now);
    setTimeout(() => {
      now--;
      response.end('ok');
    }, 5);
  });
  await using proxy = await story({
    app: app.port,
    cluster: 'circuit_breakers: { thresholds: [{ max_connections: 3 }] }',
  });
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask(proxy.port)));
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  expect(most).toBe(3);
  await quiet(proxy);
});

test('requests are copied to a shadow cluster, with their bodies, and its answers are ignored', async () => {
  const shadows: { url: string; headers: IncomingHttpHeaders; body: string }[] = [];
  await using shadow = await startApp((request, response) => {
    void readAll(request).then((body) => {
      shadows.push({ url: request.url ?? '', headers: request.headers, body: body.toString() });
      response.statusCode = 500;
      response.end('ignored');
    });
  });
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    clusters: cluster('shadow', shadow.port),
    routes: `- match: { prefix: /plain }
  route:
    cluster: app
    prefix_rewrite: /v1
    request_mirror_policies: [{ cluster: shadow }]
- match: { prefix: /shaped }
  route:
    cluster: app
    request_mirror_policies:
    - cluster_header: x-shadow
      disable_shadow_host_suffix_append: true
      host_rewrite_literal: elsewhere
      request_headers_mutations: [{ append: { header: { key: x-copy, value: "yes" } } }]
- match: { prefix: /never }
  route:
    cluster: app
    request_mirror_policies: [{ cluster: shadow, runtime_fraction: { default_value: { numerator: 0 } } }]
- match: { prefix: /missing }
  route:
    cluster: app
    request_mirror_policies: [{ cluster_header: x-missing }]`,
  });
  expect(echoed(await ask(proxy.port, { path: '/plain?a=1', headers: { host: 'web:80' } })).headers.host).toBe(
    'web:80',
  );
  await eventually('one copy', () => shadows.length === 1);
  expect(shadows[0]).toMatchObject({ url: '/v1?a=1', headers: { host: 'web-shadow:80', 'x-envoy-internal': 'true' } });
  const body = 'z'.repeat(100_000);
  const upload = {
    path: '/shaped',
    method: 'POST',
    body,
    headers: { 'x-shadow': 'shadow', 'transfer-encoding': 'chunked' },
  };
  const answer = echoed(await ask(proxy.port, upload));
  expect(answer.body).toBe(body);
  expect(answer.headers['x-copy']).toBeUndefined();
  await eventually('two copies', () => shadows.length === 2);
  expect(shadows[1]).toMatchObject({
    body,
    headers: { host: 'elsewhere', 'x-copy': 'yes', 'content-length': '100000' },
  });
  await ask(proxy.port, { path: '/never' });
  await ask(proxy.port, { path: '/missing' });
  await quiet(proxy);
  await eventually('the copies’ answers are in', () => proxy.stat('cluster.shadow.upstream_rq_active') === 0);
  expect(shadows).toHaveLength(2);
  expect(proxy.stat('cluster.shadow.upstream_rq_500')).toBe(2);
  expect((await proxy.logged(4)).every(({ code }) => code === 200)).toBe(true);
});

test('a shadow that is dead or silent costs the request nothing', async () => {
  await using silent = await listen((socket) => void socket.resume());
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    clusters: `${cluster('dead', await deadPort())}\n${cluster('silent', silent.port)}`,
    routes: `- match: { prefix: / }
  route:
    cluster: app
    timeout: 0.3s
    request_mirror_policies: [{ cluster: dead }, { cluster: silent }]`,
  });
  for (let i = 0; i < 5; i++) expect((await ask(proxy.port)).status).toBe(200);
  await eventually('the copies were given up', () => proxy.stat('cluster.silent.upstream_rq_active') === 0);
  expect(proxy.stat('cluster.silent.upstream_rq_timeout')).toBe(5);
  await quiet(proxy);
});

test.each(['http_protocol_options', 'http2_protocol_options'])(
  'a copy that its policy spoiled is dropped, and the request goes on (%s)',
  async (version) => {
    await using app = await startApp(echo());
    await using shadow = await listen((socket) => void socket.resume());
    await using proxy = await story({
      app: app.port,
      clusters: `${cluster('shadow', shadow.port)}\n  ${version}: {}`,
      routes: `- match: { prefix: / }
  route:
    cluster: app
    request_mirror_policies:
    - { cluster: shadow, host_rewrite_literal: "else where", disable_shadow_host_suffix_append: true }`,
    });
    for (let i = 0; i < 3; i++) expect((await ask(proxy.port)).status).toBe(200);
    await eventually('the copies are gone', () => proxy.stat('cluster.shadow.upstream_rq_active') === 0);
    expect(proxy.stat('cluster.shadow.upstream_rq_total')).toBe(3);
    await quiet(proxy);
  },
);

test('weighted clusters get their shares', async () => {
  await using heavy = await startApp((_request, response) => response.end('heavy'));
  await using light = await startApp((_request, response) => response.end('light'));
  await using proxy = await story({
    app: heavy.port,
    clusters: cluster('light', light.port),
    routes: `- match: { prefix: / }
  route: { weighted_clusters: { clusters: [{ name: app, weight: 75 }, { name: light, weight: 25 }] } }`,
  });
  let count = 0;
  for (let i = 0; i < 400; i++) count += Number((await ask(proxy.port)).body === 'light');
  expect(count).toBeGreaterThan(60);
  expect(count).toBeLessThan(140);
  expect(proxy.stat('cluster.light.upstream_rq_total')).toBe(count);
});

test('a hash policy keeps clients with their endpoint, and hands out the cookie that it wants', async () => {
  const apps = await Promise.all([0, 1, 2, 3].map((i) => startApp((_request, response) => response.end(String(i)))));
  const endpoints = apps
    .map(({ port }) => `{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }`)
    .join(', ');
  await using proxy = await story({
    app: 0,
    routes: `- match: { prefix: /header }
  route: { cluster: ring, hash_policy: [{ header: { header_name: x-user } }] }
- match: { prefix: /cookie }
  route: { cluster: ring, hash_policy: [{ cookie: { name: sticky, ttl: 60s } }] }`,
    clusters: `- name: ring
  lb_policy: RING_HASH
  load_assignment: { cluster_name: ring, endpoints: [{ lb_endpoints: [${endpoints}] }] }`,
  });
  const byUser = new Map<string, Set<string>>();
  for (let i = 0; i < 60; i++) {
    const user = `u${i % 12}`;
    const { body } = await ask(proxy.port, { path: '/header', headers: { 'x-user': user } });
    byUser.set(user, (byUser.get(user) ?? new Set()).add(body));
  }
  expect([...byUser.values()].every(({ size }) => size === 1)).toBe(true);
  expect(new Set([...byUser.values()].flatMap((set) => [...set])).size).toBeGreaterThan(1);
  const first = await ask(proxy.port, { path: '/cookie' });
  const [cookie = ''] = first.headers['set-cookie'] ?? [];
  expect(cookie).toMatch(/^sticky="[^"]+"; Max-Age=60; HttpOnly$/);
  for (let i = 0; i < 5; i++) {
    const again = await ask(proxy.port, { path: '/cookie', headers: { cookie: cookie.split(';')[0] as string } });
    expect(again.body).toBe(first.body);
    expect(again.headers['set-cookie']).toBeUndefined();
  }
  for (const app of apps) await app[Symbol.asyncDispose]();
});

test('Unix sockets serve on both ends', async () => {
  const folder = join(tmpdir(), `outrigger-unix-${process.pid}-${Date.now()}`);
  const appPath = `${folder}.app`;
  const path = `${folder}.proxy`;
  const server: Server = createServer(echo());
  await new Promise<void>((done) => server.listen(appPath, done));
  const config = (text: string): string =>
    text
      .replace(
        'address: { socket_address: { address: 127.0.0.1, port_value: 0 } }',
        `address: { pipe: { path: ${path} } }`,
      )
      .replace(/endpoint: \{[^\n]*/, `endpoint: { address: { pipe: { path: ${appPath} } } }`);
  await using proxy = await story({ app: 1 });
  await proxy.reload(config(proxy.config({ app: 1 })));
  const answer = await ask(0, { socketPath: path, path: '/over/unix' });
  expect(echoed(answer).path).toBe('/over/unix');
  expect(await proxy.logged(1)).toMatchObject([{ host: appPath }]);
  server.close();
  server.closeAllConnections();
  rmSync(path, { force: true });
});

test('the cluster of a request is replaced while it runs: the request ends as if nothing had been', async () => {
  let release = (): void => {};
  await using app = await listen((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello');
      release = () => void socket.write('world');
    });
  });
  await using other = await startApp((_request, response) => response.end('other'));
  await using proxy = await story({ app: app.port });
  const running = ask(proxy.port);
  await eventually('it runs', () => proxy.stat('cluster.app.upstream_rq_active') === 1);
  expect(await proxy.reload(proxy.config({ app: other.port }))).toBe('updated');
  expect((await ask(proxy.port)).body).toBe('other');
  release();
  expect((await running).body).toBe('helloworld');
  await quiet(proxy);
  await eventually('the old connection is gone', () =>
    app.sockets.every((socket) => socket.readableEnded || socket.destroyed),
  );
});
