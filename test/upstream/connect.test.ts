import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { nowMs } from '../../src/network/clock.ts';
import { ConnectAttempt } from '../../src/upstream/connect.ts';
import type { Endpoint } from '../../src/upstream/endpoint.ts';
import { listen } from '../support/sockets.ts';
import { ask, quiet, sleep, startApp, story } from '../support/story.ts';
import { clusterConfig, makeCluster } from './support.ts';

/** A port of the loopback whose accept queue is full: handshakes are not answered any more. */
async function fullPort(): Promise<number> {
  const program = `
    const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [text] = await once(child.stdout, 'data');
  const port = Number(text);
  for (let i = 0; i < 4; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
  }
  await new Promise((done) => setTimeout(done, 50));
  return port;
}

test('a handshake that nobody answers ends with the connect timeout', async () => {
  await using proxy = await story({ app: await fullPort(), cluster: 'upstream_connection_options: {}' });
  await proxy.reload(
    proxy
      .config({ app: 1 })
      .replace('connect_timeout: 1s', 'connect_timeout: 0.1s')
      .replace('port_value: 1 ', `port_value: ${await fullPort()} `),
  );
  const start = performance.now();
  const answer = await ask(proxy.port);
  expect(answer.status).toBe(503);
  expect(answer.body).toContain('reset reason: connection timeout');
  expect(performance.now() - start).toBeGreaterThan(98);
  expect(performance.now() - start).toBeLessThan(800);
  expect(await proxy.logged(1)).toMatchObject([
    { flags: 'UF', details: 'upstream_reset_before_response_started{connection_timeout}' },
  ]);
  expect(proxy.stat('cluster.app.upstream_cx_connect_timeout')).toBe(1);
  expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(0);
  await quiet(proxy);
});

test('connections come from the configured source address', async () => {
  const peers: (string | undefined)[] = [];
  await using app = await startApp((request, response) => {
    peers.push(request.socket.remoteAddress);
    response.end();
  });
  await using proxy = await story({
    app: app.port,
    cluster: 'upstream_bind_config: { source_address: { address: 127.0.0.6, port_value: 0 } }',
  });
  await ask(proxy.port);
  expect(peers).toEqual(['127.0.0.6']);
});

test('of several source addresses, that of the same family as the endpoint is taken', async () => {
  const peers: (string | undefined)[] = [];
  await using app = await startApp((request, response) => {
    peers.push(request.socket.remoteAddress);
    response.end();
  });
  const extra = 'extra_source_addresses: [{ address: { address: 127.0.0.7, port_value: 0 } }]';
  await using proxy = await story({
    app: app.port,
    cluster: `upstream_bind_config: { source_address: { address: "::1", port_value: 0 }, ${extra} }`,
  });
  expect((await ask(proxy.port)).status).toBe(200);
  expect(peers).toEqual(['127.0.0.7']);
});

test('an endpoint that refuses is counted, and the next request may reach one that came back', async () => {
  const first = await listen(() => {});
  await first[Symbol.asyncDispose]();
  await using proxy = await story({ app: first.port });
  expect((await ask(proxy.port)).status).toBe(503);
  expect(proxy.stat('cluster.app.upstream_cx_connect_fail')).toBe(1);
  const server = (await import('node:http')).createServer((_request, response) => response.end('back'));
  await new Promise<void>((done) => server.listen(first.port, '127.0.0.1', done));
  onTestFinished(() => void server.close().closeAllConnections());
  expect((await ask(proxy.port)).body).toBe('back');
  await quiet(proxy);
});

test('a source address that this machine does not have is counted', async () => {
  await using app = await startApp((_request, response) => response.end());
  await using proxy = await story({
    app: app.port,
    cluster: 'upstream_bind_config: { source_address: { address: 192.0.2.1, port_value: 0 } }',
  });
  expect((await ask(proxy.port)).status).toBe(503);
  expect(proxy.stat('cluster.app.bind_errors')).toBe(1);
  expect(proxy.stat('cluster.app.upstream_cx_connect_fail')).toBe(1);
  await quiet(proxy);
});

test('a fault of whoever hears of a failure leaves no event behind: the clock goes on', async () => {
  const { cluster } = makeCluster(clusterConfig({ connect_timeout: '1s' }, ['127.0.0.1:9']));
  await cluster.start();
  const fault = new Error('of the listener');
  const attempt = new ConnectAttempt(cluster, cluster.endpoints[0] as Endpoint, {
    onConnected: () => {},
    onConnectFailure: () => {
      throw fault;
    },
    onData: () => {},
    onEnd: () => {},
    onDrain: () => {},
    onClose: () => {},
  });
  expect(() => attempt.onTimeout()).toThrow(fault);
  const before = nowMs();
  await sleep(5);
  expect(nowMs()).toBeGreaterThan(before);
});
