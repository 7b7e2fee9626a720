import { expect, test } from 'vitest';
import { ask, startApp, story } from '../support/story.ts';

const RBAC = `- name: envoy.filters.http.rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules: { action: DENY, policies: { secret: { permissions: [{ header: { name: x-secret, present_match: true } }], principals: [{ any: true }] } } }`;
const ROUTE = `- match: { path: /direct }
  direct_response: { status: 200 }
  response_headers_to_add: [{ header: { key: x-route, value: direct } }]
- match: { path: /nowhere }
  route: { cluster_header: x-cluster }
  response_headers_to_add: [{ header: { key: x-route, value: nowhere } }]
- match: { prefix: / }
  route: { cluster: app }
  response_headers_to_add: [{ header: { key: x-route, value: app } }]`;

test('a route to a cluster puts its headers on replies in the cluster’s place, whoever gives them', async () => {
  const gone = await startApp(() => {});
  await gone[Symbol.asyncDispose]();
  await using proxy = await story({ app: gone.port, routes: ROUTE, filters: [RBAC] });
  const seen = async (path: string, headers = {}) => {
    const { status, headers: of } = await ask(proxy.port, { path, headers });
    return [status, of['x-route']];
  };
  expect(await seen('/')).toEqual([503, 'app']);
  expect(await seen('/nowhere')).toEqual([503, 'nowhere']);
  expect(await seen('/', { 'x-secret': '1' })).toEqual([403, 'app']);
  expect(await seen('/direct')).toEqual([200, 'direct']);
  // A route that answers itself is not asked when a filter has answered already.
  expect(await seen('/direct', { 'x-secret': '1' })).toEqual([403, undefined]);
});

test('the headers of a mapper still see the status that it replaces', async () => {
  const mapper = `local_reply_config:
  mappers:
  - filter: { status_code_filter: { comparison: { op: EQ, value: { default_value: 404, runtime_key: a } } } }
    status_code: 410
    headers_to_add: [{ header: { key: x-was, value: "%RESPONSE_CODE%" } }]`;
  await using proxy = await story({
    app: 1,
    manager: mapper,
    routes: '- match: { path: /a }\n  route: { cluster: app }',
  });
  const { status, headers } = await ask(proxy.port);
  expect([status, headers['x-was']]).toEqual([410, '404']);
});

test('gRPC gets what the mapper made of the reply: status, headers and message, the latter percent-encoded', async () => {
  const mapper = `local_reply_config:
  mappers:
  - filter: { status_code_filter: { comparison: { op: EQ, value: { default_value: 404, runtime_key: a } } } }
    status_code: 403
    body: { inline_string: "100% ü: ~no\\n" }
    headers_to_add: [{ header: { key: x-mapped, value: "yes" } }]`;
  await using proxy = await story({
    app: 1,
    manager: mapper,
    routes: '- match: { path: /a }\n  route: { cluster: app }',
  });
  const { status, headers } = await ask(proxy.port, { headers: { 'content-type': 'application/grpc' } });
  expect([status, headers['grpc-status'], headers['x-mapped']]).toEqual([200, '7', 'yes']);
  expect(headers['grpc-message']).toBe('100%25 %C3%BC: %7Eno%0A');
  const web = await ask(proxy.port, { headers: { 'content-type': 'application/grpc-web' } });
  expect([web.status, web.headers['grpc-status']]).toEqual([403, undefined]);
});

test('several headers of one name stay several lines', async () => {
  const routes = `- match: { prefix: / }
  direct_response: { status: 200, body: { inline_string: ok } }
  response_headers_to_add: [{ header: { key: set-cookie, value: a=1 } }, { header: { key: set-cookie, value: b=2 } }]`;
  await using proxy = await story({ app: 1, routes });
  expect((await ask(proxy.port)).headers['set-cookie']).toEqual(['a=1', 'b=2']);
});

test('a 400 of the proxy ends the connection, other refusals do not', async () => {
  const routes = `- match: { prefix: /400 }
  direct_response: { status: 400 }
- match: { prefix: /403 }
  direct_response: { status: 403 }`;
  await using proxy = await story({ app: 1, routes });
  expect((await ask(proxy.port, { path: '/400', headers: { connection: 'keep-alive' } })).headers.connection).toBe(
    'close',
  );
  expect(
    (await ask(proxy.port, { path: '/403', headers: { connection: 'keep-alive' } })).headers.connection,
  ).toBeUndefined();
});
