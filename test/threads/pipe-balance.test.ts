import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ThreadedProxy } from '../../src/threads/threaded-proxy.ts';
import { addressOf, bootstrap, clusterOf, httpManager, listenerOf } from '../support/listener-config.ts';
import { startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, startApp } from '../support/story.ts';

function clientAt(path: string): Promise<TestClient> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      onTestFinished(() => void socket.destroy());
      resolve(TestClient.over(socket));
    });
  });
}

test('the connections of a Unix socket are shared out evenly among threads, and every thread serves them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-pipe-balance-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'sidecar.sock');
  await using app = await startApp((_request, response) => response.end('ok'));
  const listener = listenerOf({ filter_chains: [{ filters: [httpManager('app')] }] }, addressOf(path));
  const text = bootstrap([listener], [clusterOf('app', app.port)]);
  await using started = await startTestProxy(text, { concurrency: 3 });
  const { proxy } = started;
  if (!(proxy instanceof ThreadedProxy)) throw new Error('one thread');
  const clients = await Promise.all(Array.from({ length: 20 }, () => clientAt(path)));
  for (const client of clients) client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await Promise.all(clients.map((client) => client.untilText('ok')));
  expect((await proxy.connectionsPerThread()).sort()).toEqual([6, 7, 7]);
  // A reload of the listener leaves its socket where it is.
  await started.reload(text.replace('"stat_prefix":"app"', '"stat_prefix":"other"'));
  expect((await ask(0, { socketPath: path })).status).toBe(200);
});
