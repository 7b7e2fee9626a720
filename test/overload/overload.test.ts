import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, startApp } from '../support/story.ts';
import { overloadStory } from './overload-story.ts';

test('what is refused as a pressure rises, and taken again as it falls', { timeout: 60_000 }, () =>
  overloadStory('outrigger'),
);

const MONITORS = 'type.googleapis.com/envoy.extensions.resource_monitors';

function overload(monitor: string, actions = '[]'): string {
  return `overload_manager:
  refresh_interval: 0.02s
  resource_monitors: [ { name: m, typed_config: ${monitor} } ]
  actions: ${actions}
`;
}

const trigger = (action: string, value: number): string =>
  `[ { name: envoy.overload_actions.${action}, triggers: [ { name: m, threshold: { value: ${value} } } ] } ]`;

test('too large a process shrinks its heap, and descriptors that run short turn requests away', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const heap = `{ "@type": ${MONITORS}.fixed_heap.v3.FixedHeapConfig, max_heap_size_bytes: 1000 }`;
  await using proxy = await startTestProxy(overload(heap, trigger('shrink_heap', 0.9)) + httpConfig(app.port));
  await expect.poll(() => proxy.stat('overload.envoy.overload_actions.shrink_heap.shrink_count')).toBe(1);
  expect(proxy.stat('overload.m.pressure')).toBeGreaterThan(100);
  expect((await ask(proxy.port)).status).toBe(200);
  const files = '{ "@type": type.googleapis.com/outrigger.v1.FileDescriptorsConfig, max_open_files: 3 }';
  await proxy.reload(overload(files, trigger('stop_accepting_requests', 0.9)) + httpConfig(app.port));
  expect((await ask(proxy.port)).body).toBe('envoy overloaded');
  // Without an overload manager nothing is refused any more.
  await proxy.reload(httpConfig(app.port, { manager: 'server_name: later' }));
  expect((await ask(proxy.port)).status).toBe(200);
});

test('a pressure that cannot be read stays what it was, is counted, and told once', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-pressure-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'pressure');
  writeFileSync(file, '0.9');
  const injected = `{ "@type": ${MONITORS}.injected_resource.v3.InjectedResourceConfig, filename: ${file} }`;
  await using proxy = await startTestProxy(
    overload(injected, trigger('stop_accepting_requests', 0.9)) + httpConfig(app.port),
  );
  expect((await ask(proxy.port)).status).toBe(503);
  writeFileSync(file, 'much');
  await expect.poll(() => proxy.stat('overload.m.failed_updates')).toBeGreaterThan(2);
  expect((await ask(proxy.port)).status).toBe(503);
  expect(proxy.logLines.filter((line) => line.includes('m cannot be read'))).toHaveLength(1);
});

test('the limit of connections is one for all threads', { timeout: 30_000 }, async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const limit = `{ "@type": ${MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: 10 }`;
  await using proxy = await startTestProxy(overload(limit) + httpConfig(app.port), { concurrency: 2 });
  const clients = await Promise.all(Array.from({ length: 30 }, () => TestClient.connect(proxy.port)));
  await expect.poll(() => clients.filter(({ ended, closed }) => ended || closed).length).toBe(20);
  for (const client of clients) client.destroy();
});
