import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { flushAll } from '../../src/observe/access-log/index.ts';
import type { Issued } from '../support/pki.ts';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { certificate, inChain, TestPki, tlsClient, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();
const SSL = 'listener.127.0.0.1_0.ssl';
const ROUTES = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';

const folder = mkdtempSync(join(tmpdir(), 'outrigger-odd-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What a client may be called by standards that few follow: 2.25 and a UUID; then a number that is none of these. */
const UUID = '2.25.329800735698586629295641978511506172918';
const TOO_LARGE = `2.25.${2n ** 140n}`;

let logs = 0;

async function start(validation: object): Promise<TestProxy & { readonly log: string }> {
  const log = join(folder, `${++logs}.log`);
  const manager = `access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${log}
    log_format: { text_format_source: { inline_string: "[%DOWNSTREAM_PEER_OTHERNAME_SAN%]\\n" } }`;
  const socket = transportSocket('DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: { tls_certificates: [certificate(pki.server)], validation_context: validation },
  });
  return Object.assign(await startTestProxy(inChain(httpConfig(1, { routes: ROUTES, manager }), socket)), { log });
}

async function visit(port: number, identity: Issued): Promise<string> {
  const client = await tlsClient(port, { ...identity }).catch(() => undefined);
  client?.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client?.untilClosed();
  return client?.text.substring(9, 12) ?? '';
}

const otherName = (oid: string) => ({
  trusted_ca: { inline_string: pki.ca.cert },
  match_typed_subject_alt_names: [{ san_type: 'OTHER_NAME', oid, matcher: { exact: 'somebody' } }],
});

test('a name whose kind is a UUID is read, matched and logged', async () => {
  await using proxy = await start(otherName(UUID));
  expect(await visit(proxy.port, pki.ca.issue({ names: [`${UUID}:somebody`] }))).toBe('200');
  expect(await visit(proxy.port, pki.ca.issue({ names: [`${UUID}:somebody else`] }))).toBe('');
  expect(proxy.stat(`${SSL}.fail_verify_san`)).toBe(1);
  flushAll();
  await expect.poll(() => readFileSync(proxy.log, 'latin1')).toBe('[somebody]\n');
});

test.each<[string, object]>([
  ['by its name', trust(pki.ca, ['URI', 'spiffe://test/client'])],
  ['by a name of a kind of its own', otherName('1.2.3.4')],
  ['by depth', { trusted_ca: { inline_string: pki.ca.cert }, max_verify_depth: 3 }],
])('a certificate that cannot be read is refused, and nobody else notices: judged %s', async (_, validation) => {
  await using proxy = await start(validation);
  const open = await tlsClient(proxy.port, { ...pki.ca.issue({ names: ['1.2.3.4:somebody'] }), ...pki.client });
  const odd = pki.ca.issue({ names: [`${TOO_LARGE}:x`] });
  for (let i = 0; i < 2; i++) expect(await visit(proxy.port, odd)).toBe('');
  expect(proxy.stat(`${SSL}.fail_verify_error`)).toBeGreaterThanOrEqual(2);
  expect(proxy.logLines.join('')).toContain('certificate cannot be read');
  open.destroy();
});

test('a name that cannot be read is not logged', async () => {
  await using proxy = await start({ trusted_ca: { inline_string: pki.ca.cert } });
  expect(await visit(proxy.port, pki.ca.issue({ names: [`${TOO_LARGE}:x`] }))).toBe('200');
  flushAll();
  await expect.poll(() => readFileSync(proxy.log, 'latin1')).toBe('[-]\n');
});
