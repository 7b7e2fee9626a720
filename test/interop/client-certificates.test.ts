import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flushAll } from '../../src/observe/access-log/index.ts';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { type Issued, TestCa } from '../support/pki.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { certificate, inChain, tlsClient, transportSocket } from '../support/tls.ts';
import { EnvoyProcess } from './differential/harness/envoy-process.ts';

const envoy = findEnvoy();
const folder = mkdtempSync(join(tmpdir(), 'outrigger-client-certificates-'));
const ca = new TestCa('Root');
const middle = new TestCa('Middle', ca);
const issued = (names: readonly string[], organization?: string, by = ca): Issued =>
  by.issue({ commonName: 'peer', names, ...(organization === undefined ? {} : { organization }) });

/** Everything that Envoy can say of certificates. */
const ON_BOTH_SIDES = [
  ...['TLS_VERSION', 'TLS_CIPHER', 'PEER_SUBJECT', 'PEER_ISSUER', 'PEER_URI_SAN', 'PEER_DNS_SAN', 'PEER_IP_SAN'],
  ...['PEER_CERT', 'PEER_CERT_V_START', 'PEER_CERT_V_END', 'LOCAL_URI_SAN', 'LOCAL_DNS_SAN', 'LOCAL_IP_SAN'],
  'PEER_CERT_V_END(%b %d %H:%M:%S %Y)',
];
const OF_CLIENTS = [
  ...['PEER_EMAIL_SAN', 'PEER_OTHERNAME_SAN', 'PEER_SERIAL', 'PEER_FINGERPRINT_256', 'PEER_FINGERPRINT_1'],
  ...['PEER_CHAIN_FINGERPRINTS_256', 'PEER_CHAIN_FINGERPRINTS_1', 'PEER_CHAIN_SERIALS'],
  ...['PEER_ISSUER_SERIAL', 'PEER_ISSUER_FINGERPRINT_256'],
  ...['LOCAL_SUBJECT', 'LOCAL_EMAIL_SAN', 'LOCAL_OTHERNAME_SAN'],
];
const OPERATORS = [
  ...[...ON_BOTH_SIDES, ...OF_CLIENTS].map((name) => `DOWNSTREAM_${name}`),
  ...ON_BOTH_SIDES.map((name) => `UPSTREAM_${name}`),
];

let app: Server;
let tlsApp: Server;

beforeAll(async () => {
  const answer: RequestListener = (request, response) => {
    const lines = request.rawHeaders.filter((_, i, all) => i % 2 === 1 && /client-cert/i.test(all[i - 1] as string));
    response.end(JSON.stringify(lines));
  };
  app = createServer(answer);
  const { cert, key } = issued(['URI:spiffe://test/app', 'DNS:app.test', 'IP:127.0.0.1'], 'Äpp');
  tlsApp = createTlsServer({ cert, key, requestCert: true, rejectUnauthorized: false }, answer);
  for (const server of [app, tlsApp]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }
});

afterAll(() => {
  app.close();
  tlsApp.close();
  rmSync(folder, { recursive: true });
});

async function startEnvoy(text: string): Promise<AsyncDisposable & { readonly port: number }> {
  const own = mkdtempSync(join(folder, 'envoy-'));
  const admin = 'admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n';
  const process = await EnvoyProcess.start(envoy as string, admin + text, own);
  const [port] = (await process.listeners(1)).values();
  return Object.assign(process, { port: port as number });
}

const START = { Envoy: startEnvoy, Outrigger: (text: string) => startTestProxy(text) } as const;

interface Hop {
  readonly server: Issued;
  readonly client: Issued;
  readonly chain?: readonly TestCa[];
  readonly manager: string;
  readonly sent?: readonly string[];
  readonly http2?: boolean;
  /** The app speaks TLS, and this is what the proxy shows it. */
  readonly towardsApp?: Issued;
}

/** What the app was told, and what was logged, by one of the two. */
async function observe(who: 'Envoy' | 'Outrigger', hop: Hop, operators: readonly string[] = []): Promise<string[]> {
  const log = join(mkdtempSync(join(folder, 'log-')), 'log');
  const format = `${operators.map((name) => `${name.replace(/\(.*/, '()')}=%${name}%`).join('\n')}\n`;
  const access = `access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${log}
    log_format: { text_format_source: { inline_string: ${JSON.stringify(format)} } }`;
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: {
      tls_certificates: [certificate(hop.server)],
      validation_context: { trusted_ca: { inline_string: ca.cert } },
      tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
      alpn_protocols: hop.http2 === true ? ['h2'] : ['http/1.1'],
    },
  });
  const manager = operators.length === 0 ? hop.manager : `${hop.manager}\n${access}`;
  const port = ((hop.towardsApp === undefined ? app : tlsApp).address() as AddressInfo).port;
  const cluster =
    hop.towardsApp === undefined
      ? {}
      : {
          cluster: transportSocket('UpstreamTlsContext', {
            common_tls_context: {
              tls_certificates: [certificate(hop.towardsApp)],
              validation_context: { trusted_ca: { inline_string: ca.cert } },
              tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
            },
          }),
        };
  const text = inChain(httpConfig(port, { manager, ...cluster }), socket);
  await using proxy = await START[who](text);
  const shown = { cert: [hop.client.cert, ...(hop.chain ?? []).map((one) => one.cert)].join(''), key: hop.client.key };
  const body = await (hop.http2 === true ? overHttp2 : overHttp1)(proxy.port, shown, hop.sent);
  if (operators.length === 0) return JSON.parse(body);
  const written = (): string => {
    flushAll();
    return readFileSync(log, 'utf8');
  };
  await expect.poll(written, { timeout: 20_000 }).not.toBe('');
  return readFileSync(log, 'utf8').trimEnd().split('\n');
}

async function overHttp1(port: number, shown: { cert: string; key: string }, sent: readonly string[] = []) {
  const client = await tlsClient(port, {
    ...shown,
    ALPNProtocols: ['http/1.1'],
    // The two prefer different ones.
    ciphers: 'TLS_AES_128_GCM_SHA256',
  });
  const lines = sent.map((value) => `x-forwarded-client-cert: ${value}\r\n`).join('');
  client.write(`GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines}\r\n`);
  await client.untilClosed();
  const { text } = client;
  client.destroy();
  return /\[.*\]/.exec(text)?.[0] ?? text;
}

async function overHttp2(port: number, shown: { cert: string; key: string }, sent: readonly string[] = []) {
  const lines = sent.flatMap((value) => ['-H', `x-forwarded-client-cert: ${value}`]);
  const own = mkdtempSync(join(folder, 'curl-'));
  writeFileSync(join(own, 'cert.pem'), shown.cert);
  writeFileSync(join(own, 'key.pem'), shown.key);
  const args = ['-sk', '--http2', '--cert', 'cert.pem', '--key', 'key.pem', ...lines, `https://127.0.0.1:${port}/`];
  return (await promisify(execFile)('curl', args, { cwd: own, timeout: 20_000 })).stdout;
}

const ALL = 'set_current_client_cert_details: { subject: true, cert: true, chain: true, dns: true, uri: true }';
const PLAIN: Pick<Hop, 'server' | 'client'> = {
  server: issued(['URI:spiffe://test/server', 'DNS:server.test']),
  client: issued(['URI:spiffe://test/client', 'DNS:client.test', 'DNS:other.test'], 'Acme, "Inc"'),
};

describe('x-forwarded-client-cert, byte for byte as from Envoy', () => {
  test.for<[string, Hop]>([
    ['by default', { ...PLAIN, manager: '', sent: ['By=a'] }],
    ...['FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'].map((mode): [string, Hop] => [
      `${mode} with everything`,
      { ...PLAIN, manager: `forward_client_cert_details: ${mode}\n${ALL}`, sent: ['By=a;Hash=b,By=c'] },
    ]),
    ['APPEND_FORWARD with nothing before', { ...PLAIN, manager: `forward_client_cert_details: APPEND_FORWARD` }],
    [
      'over HTTP/2',
      { ...PLAIN, http2: true, manager: `forward_client_cert_details: APPEND_FORWARD\n${ALL}`, sent: ['By=a'] },
    ],
    [
      'names that are missing',
      { server: issued([]), client: issued([]), manager: `forward_client_cert_details: SANITIZE_SET\n${ALL}` },
    ],
    [
      'several names on both sides, a chain, a subject in Unicode',
      {
        server: issued(['URI:spiffe://test/server', 'URI:https://test/server']),
        client: issued(['URI:spiffe://test/a', 'URI:spiffe://test/b', 'email:a@b.test'], 'Açme + <Söhne>', middle),
        chain: [middle],
        manager: `forward_client_cert_details: SANITIZE_SET\n${ALL}`,
      },
    ],
  ])('%s', { timeout: 60_000 }, async ([, hop], context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    const [theirs, ours] = [await observe('Envoy', hop), await observe('Outrigger', hop)];
    expect(ours).toEqual(theirs);
  });
});

test('access logs tell the same of certificates', { timeout: 60_000 }, async (context) => {
  if (envoy === undefined) return context.skip(NO_ENVOY);
  const hop: Hop = {
    server: issued(['URI:spiffe://test/server', 'DNS:server.test', 'IP:10.0.0.1', 'email:s@test'], 'Acme, Inc'),
    client: issued(
      [
        'URI:spiffe://test/a',
        'URI:spiffe://test/b',
        'DNS:a.test',
        'DNS:b.test',
        'IP:10.0.0.2',
        'email:c@test',
        '1.2.3.4:other',
      ],
      'Açme',
      middle,
    ),
    chain: [middle],
    towardsApp: issued(['URI:spiffe://test/proxy', 'DNS:proxy.test', 'IP:10.0.0.3']),
    manager: '',
  };
  const [theirs, ours] = [await observe('Envoy', hop, OPERATORS), await observe('Outrigger', hop, OPERATORS)];
  expect(ours).toEqual(theirs);
});
