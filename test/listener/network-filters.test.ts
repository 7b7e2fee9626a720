import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startTestProxy } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';

const filter = (name: string): string => `
import { defineNetworkFilter, stop } from 'outrigger';
export default defineNetworkFilter({
  name: 'greeter',
  semantics: { side: 'either', state: 'none', body: 'read' },
  create: () => ({
    onData(chunk) {
      if (chunk.toString() === 'bye') return stop('said_bye');
      return Buffer.from('${name}:' + chunk.toString());
    },
  }),
});
`;

const config = (port: number): string => `
static_resources:
  listeners:
  - name: tcp
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: greeter
        typed_config: { "@type": type.googleapis.com/outrigger.v1.NetworkFilterModule, module: ./greeter.ts }
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: test
          cluster: app
  clusters:
  - name: app
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }
`;

async function ask(port: number, text: string): Promise<string> {
  const client = await TestClient.connect(port);
  client.write(text);
  await client.until((one) => one.received.length > 0 || one.ended || one.closed);
  client.destroy();
  return client.text;
}

test('a custom network filter changes bytes, ends connections, and a saved change acts on new ones', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-network-filter-'));
  try {
    writeFileSync(join(dir, 'greeter.ts'), filter('one'));
    await using app = await listen((socket) => socket.pipe(socket));
    await using proxy = await startTestProxy(config(app.port), { dir });
    const before = await TestClient.connect(proxy.port);
    before.write('a');
    await before.untilText('one:a');
    expect(await ask(proxy.port, 'bye')).toBe('');
    writeFileSync(join(dir, 'greeter.ts'), filter('two'));
    await expect.poll(() => ask(proxy.port, 'b'), { timeout: 2000 }).toBe('two:b');
    before.write('c');
    await before.untilText('one:c');
    before.destroy();
    writeFileSync(join(dir, 'greeter.ts'), 'this does not parse');
    await expect.poll(() => proxy.logLines.join('\n'), { timeout: 3000 }).toContain('old version');
    expect(await ask(proxy.port, 'd')).toBe('two:d');
  } finally {
    rmSync(dir, { recursive: true });
  }
});
