import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { listen } from '../support/sockets.ts';

const SLOW = `
import { defineHttpFilter } from 'outrigger';
export default defineHttpFilter({
  name: 'slow',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({
    onRequest() {
      const until = performance.now() + 2;
      while (performance.now() < until);
    },
  }),
});
`;

test('the admin server tells how long each filter took, by samples', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-filter-times-'));
  try {
    writeFileSync(join(dir, 'slow.ts'), SLOW);
    await using app = await listen((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
    });
    const filters = `- name: slow
  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./slow.ts }`;
    await using proxy = await startTestProxy(httpConfig(app.port, { filters }), {
      dir,
      adminAddress: { host: '127.0.0.1', port: 0 },
    });
    for (let i = 0; i < 300; i++) expect((await fetch(`http://127.0.0.1:${proxy.port}/`)).status).toBe(200);
    const { host, port } = proxy.proxy.adminAddress ?? { host: '', port: 0 };
    const answer = (await (await fetch(`http://${host}:${port}/filters?format=json`)).json()) as {
      filters: { filter: string; samples: number; meanNs: number }[];
    };
    const slow = answer.filters.find(({ filter }) => filter === 'slow');
    expect(slow?.samples).toBeGreaterThanOrEqual(2);
    expect(slow?.samples).toBeLessThan(10);
    expect(slow?.meanNs).toBeGreaterThan(1_900_000);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
