import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeAuthority, makeSvid } from '../src/cli/certs-files.ts';
import { DAY_MS } from '../src/cli/certs-ttl.ts';
import { startTestProxy } from './support/proxy.ts';

test('the example of docs/identity.md tells the app who calls', async () => {
  const root = mkdtempSync(join(tmpdir(), 'outrigger-identity-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const [ca, cart, web] = ['ca', 'cart', 'web'].map((name) => join(root, name)) as [string, string, string];
  await makeAuthority({ trustDomain: 'shop.test', out: ca, ttl: DAY_MS, key: 'ecdsa', force: false });
  const svid = { ca, ttl: DAY_MS, key: 'ecdsa', force: false, ip: [] } as const;
  await makeSvid({ ...svid, spiffeId: 'spiffe://shop.test/cart', dns: ['localhost'], out: cart });
  await makeSvid({ ...svid, spiffeId: 'spiffe://shop.test/web', dns: [], out: web });

  const app = createServer((req, res) => res.end(req.headers['x-forwarded-client-cert']));
  await new Promise<void>((done) => app.listen(0, '127.0.0.1', done));
  onTestFinished(() => void app.close());

  const page = readFileSync(resolve(import.meta.dirname, '../docs/identity.md'), 'utf8');
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
  await using proxy = await startTestProxy(
    yaml
      .replaceAll(/filename: /g, `filename: ${root}/`)
      .replace('port_value: 8443', 'port_value: 0')
      .replace('port_value: 3000', `port_value: ${(app.address() as AddressInfo).port}`),
  );
  const pem = (path: string): Buffer => readFileSync(path);
  const ask = (options: object) =>
    new Promise<string>((done, fail) => {
      const call = request({
        host: '127.0.0.1',
        port: proxy.port,
        servername: 'localhost',
        ca: pem(join(ca, 'ca.pem')),
        agent: false,
        ...options,
      });
      call.on('error', fail);
      call.on('response', async (response) => done((await response.toArray()).join('')));
      call.end();
    });
  const shown = { cert: pem(join(web, 'svid.pem')), key: pem(join(web, 'svid-key.pem')) };
  expect((await ask(shown)).replace(/Hash=[0-9a-f]{64}/, 'Hash=…')).toBe(
    /`x-forwarded-client-cert: (.*)`/.exec(page)?.[1],
  );
  await expect(ask({})).rejects.toThrow();
});
