import { beforeAll, describe, expect, test } from 'vitest';
import { JwksServer, jwksOf, makeKey, nowSeconds, sign, type TestKey } from '../../support/jwt.ts';
import { askOf, type Version } from '../../support/protocols.ts';
import { ask, echo, eventually, type Story, type StoryOptions, startApp, story } from '../../support/story.ts';

let first: TestKey;
let second: TestKey;

beforeAll(async () => {
  first = await makeKey('RS256', 'first');
  second = await makeKey('ES256', 'second');
});

interface Setup {
  readonly provider?: string;
  readonly remote?: string;
  readonly timeout?: string;
  readonly rest?: string;
  readonly behind?: string;
  readonly clusterFields?: string;
}

/** A proxy whose tokens are those of a server's keys. */
async function startWith(stack: AsyncDisposableStack, server: JwksServer, setup: Setup = {}): Promise<Story> {
  const app = stack.use(await startApp(echo()));
  return stack.use(await story(optionsOf(app.port, server, setup)));
}

function optionsOf(app: number, server: JwksServer, setup: Setup = {}): StoryOptions {
  const filter = `- name: jwt
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers:
      p:
        issuer: iss
        remote_jwks:
          http_uri: { uri: "http://keys.test:81/jwks.json?v=1", cluster: keys, timeout: ${setup.timeout ?? '10s'} }
          ${setup.remote ?? ''}
        ${setup.provider ?? ''}
    rules:
    - match: { prefix: / }
      requires: { provider_name: p }
    ${setup.rest ?? ''}`;
  const clusters = `- name: keys
  connect_timeout: 1s
  load_assignment:
    cluster_name: keys
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${server.port} } } }
${setup.clusterFields ?? ''}`;
  const filters = [filter, ...(setup.behind === undefined ? [] : [setup.behind])];
  return { app, filters, clusters };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const FETCHED = 'http.test.jwt_authn.jwks_fetch_success';
const FAILED = 'http.test.jwt_authn.jwks_fetch_failed';

describe.each<Version>(['HTTP/1.1', 'HTTP/2'])('tokens over %s', (version) => {
  test('a genuine one passes and is taken out, others are refused with the reason', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    const proxy = await startWith(stack, server, { provider: 'forward_payload_header: x-payload' });
    const token = await sign(first, { iss: 'iss', sub: 'me' });
    const answer = await askOf(version, proxy.port, { headers: { ...bearer(token), 'x-payload': 'forged' } });
    expect(answer.status).toBe(200);
    const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> };
    expect(headers.authorization).toBeUndefined();
    expect(headers['x-payload']).toBe(token.split('.')[1]);

    const refused = await askOf(version, proxy.port, {
      path: '/a?b=c',
      headers: { host: 'shop.test', ...bearer(await sign(second, { iss: 'iss' })) },
    });
    expect(refused.status).toBe(401);
    expect(refused.body).toBe("Jwks doesn't have key to match kid or alg from Jwt");
    expect(refused.headers['www-authenticate']).toBe('Bearer realm="http://shop.test/a?b=c", error="invalid_token"');
    const missing = await askOf(version, proxy.port);
    expect([missing.status, missing.body]).toEqual([401, 'Jwt is missing']);
    const lines = await proxy.logged(3);
    expect(lines.map(({ details }) => details)).toEqual([
      'via_upstream',
      "jwt_authn_access_denied{Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt}",
      'jwt_authn_access_denied{Jwt_is_missing}',
    ]);
    expect(server.requests).toEqual(['keys.test:81/jwks.json?v=1']);
    expect(proxy.stat('http.test.jwt_authn.allowed')).toBe(1);
    expect(proxy.stat('http.test.jwt_authn.denied')).toBe(2);
  });

  test('a body that comes while keys are fetched arrives whole', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    server.hold();
    const proxy = await startWith(stack, server);
    const body = 'x'.repeat(300_000);
    const token = await sign(first, { iss: 'iss' });
    const pending = askOf(version, proxy.port, { method: 'POST', headers: bearer(token), body });
    await eventually('the keys are asked for', () => server.requests.length === 1);
    server.release();
    const answer = await pending;
    expect((JSON.parse(answer.body) as { body: string }).body).toBe(body);
  });
});

describe('keys from a server', () => {
  test('are fetched once for many requests that wait', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    server.hold();
    const proxy = await startWith(stack, server);
    const headers = bearer(await sign(first, { iss: 'iss' }));
    const pending = Array.from({ length: 30 }, () => ask(proxy.port, { headers }));
    await eventually('all wait', () => proxy.stat('http.test.downstream_rq_active') === 30);
    server.release();
    expect((await Promise.all(pending)).every(({ status }) => status === 200)).toBe(true);
    expect(server.requests.length).toBe(1);
    expect(proxy.stat(FETCHED)).toBe(1);
  });

  test('that are not there deny, and are asked for again later', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start());
    server.answer = (response) => void response.writeHead(503).end();
    const proxy = await startWith(stack, server);
    const headers = bearer(await sign(first, { iss: 'iss' }));
    const denied = await ask(proxy.port, { headers });
    expect([denied.status, denied.body]).toEqual([401, 'Jwks remote fetch is failed']);
    // One that comes at once costs the failing server nothing.
    expect((await ask(proxy.port, { headers })).status).toBe(401);
    expect(proxy.logLines.some((line) => line.includes('provider p: the JWKS of http://keys.test:81'))).toBe(true);
    server.serve(jwksOf(first));
    await expect.poll(async () => (await ask(proxy.port, { headers })).status, { timeout: 10_000 }).toBe(200);
    expect(proxy.stat(FAILED)).toBeGreaterThan(0);
  });

  test.each([
    ['a set that never ends', (n: number) => `{"keys":[${'{"kty":"RSA"},'.repeat(n)}`],
    ['a set of more than a megabyte', (n: number) => `{"keys":[],"x":"${'y'.repeat(n * 20)}"}`],
    ['something else', () => '<html>'],
    ['a set without usable keys', () => '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}'],
  ])('%s counts as none', async (_, text) => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(text(100_000)));
    const proxy = await startWith(stack, server);
    const denied = await ask(proxy.port, { headers: bearer(await sign(first, { iss: 'iss' })) });
    expect([denied.status, denied.body]).toEqual([401, 'Jwks remote fetch is failed']);
    expect(proxy.stat(FAILED)).toBe(1);
  });

  test('of a server that does not answer deny when its time is over', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    server.hold();
    const proxy = await startWith(stack, server, { timeout: '0.3s' });
    const denied = await ask(proxy.port, { headers: bearer(await sign(first, { iss: 'iss' })) });
    expect([denied.status, denied.body]).toEqual([401, 'Jwks remote fetch is failed']);
    server.release();
  });

  test('rotate: new ones are taken, old ones and what was cached of them are forgotten', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    const proxy = await startWith(stack, server, {
      remote: 'cache_duration: 0.05s',
      provider: 'jwt_cache_config: {}',
    });
    const old = bearer(await sign(first, { iss: 'iss' }));
    const fresh = bearer(await sign(second, { iss: 'iss' }));
    expect((await ask(proxy.port, { headers: old })).status).toBe(200);
    expect((await ask(proxy.port, { headers: old })).status).toBe(200);
    expect(proxy.stat('http.test.jwt_authn.jwt_cache_hit')).toBe(1);
    expect((await ask(proxy.port, { headers: fresh })).status).toBe(401);
    server.serve(jwksOf(first, second));
    await expect.poll(async () => (await ask(proxy.port, { headers: fresh })).status, { timeout: 10_000 }).toBe(200);
    expect((await ask(proxy.port, { headers: old })).status).toBe(200);
    server.serve(jwksOf(second));
    await expect.poll(async () => (await ask(proxy.port, { headers: old })).status, { timeout: 10_000 }).toBe(401);
    expect((await ask(proxy.port, { headers: fresh })).status).toBe(200);
  });

  test('stay while the server fails', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    const proxy = await startWith(stack, server, {
      remote: 'cache_duration: 0.05s\n          async_fetch: { failed_refetch_duration: 0.05s }',
    });
    const headers = bearer(await sign(first, { iss: 'iss' }));
    expect((await ask(proxy.port, { headers })).status).toBe(200);
    server.answer = (response) => void response.writeHead(500).end();
    await eventually('several fetches failed', () => proxy.stat(FAILED) >= 3, 10_000);
    expect((await ask(proxy.port, { headers })).status).toBe(200);
    const fetched = proxy.stat(FETCHED);
    server.serve(jwksOf(first, second));
    await eventually('it is well again', () => proxy.stat(FETCHED) > fetched, 10_000);
    const bySecond = bearer(await sign(second, { iss: 'iss' }));
    expect((await ask(proxy.port, { headers: bySecond })).status).toBe(200);
  });

  test('are fetched before the first request with async_fetch, and anew by a new configuration', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    const app = stack.use(await startApp(echo()));
    const proxy = stack.use(await story(optionsOf(app.port, server, { remote: 'async_fetch: {}' })));
    await eventually('the keys are there', () => proxy.stat(FETCHED) === 1, 10_000);
    const headers = bearer(await sign(first, { iss: 'iss' }));
    expect((await ask(proxy.port, { headers })).status).toBe(200);
    expect(server.requests.length).toBe(1);
    const next = await JwksServer.start(jwksOf(second));
    stack.use(next);
    await proxy.reload(
      proxy.config(optionsOf(app.port, next, { remote: 'async_fetch: {}', provider: 'forward: true' })),
    );
    await eventually('the new keys are there', () => proxy.stat(FETCHED) === 2, 10_000);
    expect([server.requests.length, next.requests.length]).toEqual([1, 1]);
    expect((await ask(proxy.port, { headers })).status).toBe(401);
    expect((await ask(proxy.port, { headers: bearer(await sign(second, { iss: 'iss' })) })).status).toBe(200);
  });

  test('serve every worker thread', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start(jwksOf(first)));
    const app = stack.use(await startApp(echo()));
    const options = optionsOf(app.port, server, { provider: 'jwt_cache_config: {}' });
    const proxy = stack.use(await story({ ...options, concurrency: 2 }));
    const good = bearer(await sign(first, { iss: 'iss' }));
    const wrong = bearer(await sign(second, { iss: 'iss' }));
    const asks = Array.from({ length: 30 }, (_, i) => ask(proxy.port, { headers: i % 2 === 0 ? good : wrong }));
    const statuses = (await Promise.all(asks)).map(({ status }) => status);
    expect(statuses).toEqual(statuses.map((_, i) => (i % 2 === 0 ? 200 : 401)));
    expect(server.requests.length).toBeLessThanOrEqual(2);
  });

  test('are tried again as retry_policy says', async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await JwksServer.start());
    server.answer = (response) => {
      if (server.requests.length === 3) server.serve(jwksOf(first));
      if (server.requests.length === 3) server.answer(response);
      else response.writeHead(503).end();
    };
    const proxy = await startWith(stack, server, {
      remote: 'retry_policy: { num_retries: 2, retry_back_off: { base_interval: 0.01s } }',
    });
    const headers = bearer(await sign(first, { iss: 'iss' }));
    expect((await ask(proxy.port, { headers })).status).toBe(200);
    expect(server.requests.length).toBe(3);
    expect([proxy.stat(FETCHED), proxy.stat(FAILED)]).toEqual([1, 0]);
  });
});

test('RBAC decides by claims, of cached tokens too', async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await JwksServer.start(jwksOf(first)));
  const proxy = await startWith(stack, server, {
    provider:
      'payload_in_metadata: claims\n        jwt_cache_config: {}\n        normalize_payload_in_metadata: { space_delimited_claims: [scope] }',
    behind: `- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      policies:
        writers:
          permissions: [{ any: true }]
          principals:
          - metadata:
              filter: envoy.filters.http.jwt_authn
              path: [{ key: claims }, { key: scope }]
              value: { list_match: { one_of: { string_match: { exact: write } } } }
        admins:
          permissions: [{ any: true }]
          principals:
          - metadata:
              filter: envoy.filters.http.jwt_authn
              path: [{ key: claims }, { key: realm }, { key: role }]
              value: { string_match: { exact: admin } }`,
  });
  const statusOf = async (claims: object): Promise<number[]> => {
    const headers = bearer(await sign(first, { iss: 'iss', ...claims }));
    return [(await ask(proxy.port, { headers })).status, (await ask(proxy.port, { headers })).status];
  };
  expect(await statusOf({ scope: 'read write' })).toEqual([200, 200]);
  expect(await statusOf({ scope: 'read' })).toEqual([403, 403]);
  expect(await statusOf({ scope: 'rewrite' })).toEqual([403, 403]);
  expect(await statusOf({ realm: { role: 'admin' } })).toEqual([200, 200]);
  expect(await statusOf({ 'realm.role': 'admin' })).toEqual([403, 403]);
  expect(await statusOf({ exp: nowSeconds() - 1000, scope: 'write' })).toEqual([401, 401]);
  expect(proxy.stat('http.test.jwt_authn.jwt_cache_hit')).toBe(5);
});

test('claims lead to another route where clear_route_cache says so', async () => {
  await using stack = new AsyncDisposableStack();
  const key = first;
  const app = stack.use(await startApp(echo()));
  const start = async (clears: boolean): Promise<Story> => {
    const proxy = await story({
      app: app.port,
      filters: [
        `- name: jwt
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers:
      p:
        local_jwks: { inline_string: '${jwksOf(key)}' }
        claim_to_headers: [{ header_name: x-tenant, claim_name: tenant }]
        clear_route_cache: ${clears}
    rules:
    - match: { prefix: / }
      requires: { provider_name: p }`,
      ],
      routes: `- name: gold
  match: { prefix: /, headers: [{ name: x-tenant, string_match: { exact: gold } }] }
  route: { cluster: app }
- name: rest
  match: { prefix: / }
  route: { cluster: app }`,
    });
    return stack.use(proxy);
  };
  const headers = { ...bearer(await sign(key, { tenant: 'gold' })) };
  const clearing = await start(true);
  await ask(clearing.port, { headers });
  expect((await clearing.logged(1))[0]?.route).toBe('gold');
  const keeping = await start(false);
  await ask(keeping.port, { headers });
  expect((await keeping.logged(1))[0]?.route).toBe('rest');
  // What a client claims by itself chooses no route.
  await ask(clearing.port, { headers: { ...bearer(await sign(key, {})), 'x-tenant': 'gold' } });
  expect((await clearing.logged(2))[1]?.route).toBe('rest');
});
