import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, describe, expect, test } from 'vitest';
import { jwksOf, makeKey, sign } from '../support/jwt.ts';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { type App, ask, echo, startApp } from '../support/story.ts';
import { certificate, inChain, TestPki, transportSocket } from '../support/tls.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'outrigger-guides-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The YAML of a guide, block by block. */
function blocksOf(guide: string): string[] {
  const text = readFileSync(join(ROOT, 'docs', guide), 'utf8');
  return [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] as string);
}

/** A sidecar file of a guide, on ports of this test. */
function start(block: string, app: App): Promise<TestProxy> {
  return startTestProxy(
    block
      .replace('127.0.0.1:8080', '127.0.0.1:0')
      .replace('127.0.0.1:3000', `127.0.0.1:${app.port}`)
      .replace('127.0.0.1:9901', '127.0.0.1:0')
      .replace('keys.json', join(folder, 'keys.json'))
      .replace('/var/log/taps', join(folder, 'taps')),
  );
}

describe('docs/authorization.md', () => {
  const [byRequest, byCertificate, byClaim] = blocksOf('authorization.md') as [string, string, string];

  test('by method, path, header and address', async () => {
    await using app = await startApp(echo());
    await using proxy = await start(byRequest, app);
    const status = async (method: string, path: string, headers = {}): Promise<number> =>
      (await ask(proxy.port, { method, path, headers })).status;
    expect(await status('GET', '/items/1')).toBe(200);
    expect(await status('DELETE', '/items/1')).toBe(403);
    expect(await status('DELETE', '/items/1', { 'x-role': 'staff' })).toBe(200);
    expect(await status('GET', '/other', { 'x-role': 'staff' })).toBe(403);
  });

  test('by certificate: the SPIFFE identity of the client decides', async () => {
    const pki = new TestPki();
    await using app = await startApp(echo());
    const socket = transportSocket('DownstreamTlsContext', {
      common_tls_context: {
        tls_certificates: [certificate(pki.server)],
        validation_context: { trusted_ca: { inline_string: pki.ca.cert } },
      },
    });
    await using proxy = await startTestProxy(inChain(httpConfig(app.port, { filters: byCertificate }), socket), {
      adminAddress: { host: '127.0.0.1', port: 0 },
    });
    const identity = (account: string) =>
      pki.ca.issue({ commonName: account, names: [`URI:spiffe://shop.test/ns/shop/sa/${account}`] });
    const status = (path: string, client: object): Promise<string> =>
      new Promise((resolve, reject) => {
        const tls = connect({ port: proxy.port, host: '127.0.0.1', rejectUnauthorized: false, ...client });
        let text = '';
        tls.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
        });
        tls.on('error', reject);
        tls.on('close', () => resolve(text.slice(9, 12)));
        tls.write(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
      });
    const checkout = identity('checkout');
    const cart = identity('cart');
    expect(await status('/pay', checkout)).toBe('200');
    expect(await status('/pay', cart)).toBe('403');
    expect(await status('/price', cart)).toBe('200');
    expect(await status('/status', cart)).toBe('200');
    for (const path of ['/pay', '/price', '/status']) expect(await status(path, {})).toBe('403');

    const admin = `http://127.0.0.1:${proxy.proxy.adminAddress?.port}`;
    const denials = await (await fetch(`${admin}/denials`)).text();
    expect(denials).toContain('rbac_access_denied_matched_policy[none]');
    expect(denials).toContain('/price');
  });

  test('by claims of a token', async () => {
    const key = await makeKey('ES256', 'one');
    writeFileSync(join(folder, 'keys.json'), jwksOf(key));
    await using app = await startApp(echo());
    await using proxy = await start(byClaim, app);
    const status = async (path: string, claims: object): Promise<number> => {
      const token = await sign(key, { iss: 'https://login.shop.test', ...claims });
      return (await ask(proxy.port, { path, headers: { authorization: `Bearer ${token}` } })).status;
    };
    expect(await status('/anything', { groups: ['users', 'admins'] })).toBe(200);
    expect(await status('/anything', { groups: ['users'] })).toBe(403);
    expect(await status('/anything', { groups: 'admins' })).toBe(403);
    expect(await status('/orders/1', { scope: 'orders' })).toBe(200);
    expect(await status('/other', { scope: 'orders' })).toBe(403);
    expect((await ask(proxy.port, { path: '/orders/1' })).status).toBe(401);
  });
});

describe('docs/tap.md', () => {
  const [live, files] = blocksOf('tap.md') as [string, string];
  const CURL = /curl .*?-d '\n(.*?)^'$/ms;

  test('live, as the command asks', async () => {
    await using app = await startApp((request, response) => {
      response.statusCode = request.url === '/orders/1' ? 503 : 200;
      response.end('answer');
    });
    await using proxy = await start(live, app);
    const body = CURL.exec(readFileSync(join(ROOT, 'docs', 'tap.md'), 'utf8'))?.[1] as string;
    const abort = new AbortController();
    const url = `http://127.0.0.1:${proxy.proxy.adminAddress?.port}/tap`;
    const response = await fetch(url, { method: 'POST', body, signal: abort.signal });
    expect(response.status).toBe(200);
    let text = '';
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await expect
      .poll(async () => {
        for (const path of ['/orders/2', '/orders/1', '/other']) await ask(proxy.port, { path });
        return text;
      })
      .toContain('/orders/1');
    expect(text).not.toMatch(/\/orders\/2|\/other/);
    abort.abort();
    await reading;
  });

  test('into files', async () => {
    mkdirSync(join(folder, 'taps'));
    await using app = await startApp((_request, response) => {
      response.statusCode = 500;
      response.end('broken');
    });
    await using proxy = await start(files.replace('numerator: 10', 'numerator: 100'), app);
    await ask(proxy.port, { path: '/?pin=1234', headers: { 'x-badge': 'hush' } });
    const texts = () =>
      readdirSync(join(folder, 'taps')).map((name) => readFileSync(join(folder, 'taps', name), 'utf8'));
    await expect.poll(() => texts().join('')).toContain('"as_string": "broken"');
    expect(texts().join('')).toContain('/?pin=[redacted]');
    expect(texts().join('')).not.toContain('hush');
  });
});
