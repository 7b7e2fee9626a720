import { expect, test } from 'vitest';
import { http2Server, httpServer } from '../support/health-servers.ts';
import { ask, eventually, quiet, story } from '../support/story.ts';
import { HTTP2_CLUSTER } from './health/checks.ts';

const LIMIT = 'common_http_protocol_options: { max_connection_duration: 0.1s }';

test('an idle connection that has reached its age is closed, and another one opened', async () => {
  await using app = await httpServer((_request, response) => response.end('ok'));
  await using proxy = await story({ app: app.port, cluster: LIMIT });
  expect((await ask(proxy.port)).body).toBe('ok');
  await eventually('it is closed', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
  expect(proxy.stat('cluster.app.upstream_cx_max_duration_reached')).toBe(1);
  expect(proxy.stat('cluster.app.upstream_cx_destroy_local')).toBe(1);
  expect((await ask(proxy.port)).body).toBe('ok');
  expect(proxy.stat('cluster.app.upstream_cx_total')).toBe(2);
  await quiet(proxy);
});

test.each([
  ['HTTP/1.1', LIMIT, httpServer],
  ['HTTP/2', HTTP2_CLUSTER.replace('explicit', `${LIMIT}\n    explicit`), http2Server as unknown as typeof httpServer],
])('%s: an exchange that is under way ends first', async (_protocol, cluster, server) => {
  let finish: () => void = () => {};
  await using app = await server((_request, response) => {
    finish = () => response.end('at last');
  });
  await using proxy = await story({ app: app.port, cluster });
  const asked = ask(proxy.port);
  await eventually('it is old', () => proxy.stat('cluster.app.upstream_cx_max_duration_reached') === 1);
  expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(1);
  finish();
  expect((await asked).body).toBe('at last');
  await eventually('it is closed', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
  expect(proxy.stat('cluster.app.upstream_rq_2xx')).toBe(1);
});
