import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { certificate, inChain, TestPki, transportSocket, trust } from '../support/tls.ts';
import { EnvoyProcess } from './differential/harness/envoy-process.ts';

const run = promisify(execFile);
const pki = new TestPki();
const folder = mkdtempSync(join(tmpdir(), 'outrigger-tls-interop-'));
const envoy = findEnvoy();
const path = (name: string): string => join(folder, name);
const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

beforeAll(() => {
  writeFileSync(path('ca.pem'), pki.ca.cert);
  for (const [name, { cert, key }] of Object.entries({
    server: pki.server,
    client: pki.client,
    rogue: pki.rogue,
    expired: pki.expired,
  })) {
    writeFileSync(path(`${name}.pem`), cert);
    writeFileSync(path(`${name}.key`), key);
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

const OK = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';
const MUTUAL = transportSocket('DownstreamTlsContext', {
  require_client_certificate: true,
  common_tls_context: {
    tls_certificates: [certificate(pki.server)],
    validation_context: trust(pki.ca, ['URI', 'spiffe://test/client']),
    alpn_protocols: ['http/1.1'],
  },
});

/** A listener that lets in one client, and answers itself. */
const SERVER = inChain(httpConfig(1, { routes: OK }), MUTUAL);

/** Forwards to a TLS server; a request that failed says why. */
function clientConfig(port: number, context: object): string {
  const headers = `response_headers_to_add:
- header: { key: x-reason, value: "%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%" }`;
  return httpConfig(port, { cluster: transportSocket('UpstreamTlsContext', context) }).replace(
    /^( +)route_config:$/m,
    (line, indent: string) => `${line}\n${headers.replace(/^/gm, `${indent}  `)}`,
  );
}

/** Envoy with the same configuration, with its first listener's port. */
async function startEnvoy(text: string): Promise<AsyncDisposable & { readonly port: number }> {
  const own = mkdtempSync(join(folder, 'envoy-'));
  const admin = 'admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n';
  const process = await EnvoyProcess.start(envoy as string, admin + text, own);
  const [port] = (await process.listeners(1)).values();
  return Object.assign(process, { port: port as number });
}

const START = { Outrigger: (text: string) => startTestProxy(text), Envoy: startEnvoy } as const;
const KINDS = ['Outrigger', 'Envoy'] as const;

async function get(port: number): Promise<{ readonly status: string; readonly reason: string; readonly body: string }> {
  const client = await TestClient.connect(port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  const { text } = client;
  client.destroy();
  return {
    status: text.substring(9, 12),
    reason: /x-reason: (.*)\r/.exec(text)?.[1] ?? '',
    body: text.substring(text.indexOf('\r\n\r\n') + 4),
  };
}

const SHOWS = (who: 'client' | 'rogue' | 'expired' | 'server') => ({
  sni: 'server.test',
  common_tls_context: {
    tls_certificates: [certificate(pki[who])],
    validation_context: trust(pki.ca, ['DNS', 'server.test']),
    tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
  },
});

describe('a mutual TLS hop', () => {
  for (const near of KINDS) {
    for (const far of KINDS) {
      test(`from ${near} to ${far}`, async (context) => {
        if (envoy === undefined) return context.skip(NO_ENVOY);
        await using server = await START[far](SERVER);
        await using client = await START[near](clientConfig(server.port, SHOWS('client')));
        expect(await get(client.port)).toMatchObject({ status: '200', body: 'served' });
        for (const who of ['rogue', 'expired', 'server'] as const) {
          await using refused = await START[near](clientConfig(server.port, SHOWS(who)));
          expect((await get(refused.port)).status).toBe('503');
        }
      });
    }
  }
});

describe('why an upstream is refused, in the same words', () => {
  const trusted = (...names: readonly [string, string][]) => ({
    common_tls_context: { validation_context: trust(pki.ca, ...names) },
  });

  test.for([
    ['another authority', 'rogue', [], trusted()],
    ['expired', 'expired', [], trusted()],
    ['another name', 'server', [], trusted(['DNS', 'other.test'])],
    ['a client certificate wanted', 'server', ['-Verify', '2', '-verify_return_error', '-CAfile', 'ca.pem'], trusted()],
    ['everything right', 'server', [], trusted(['DNS', 'server.test'])],
  ] as const)('%s', async ([, who, options, client], context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    if (!has('openssl')) return context.skip('needs openssl');
    await using server = await opensslServer(who, options);
    await using ours = await startTestProxy(clientConfig(server.port, client));
    await using theirs = await startEnvoy(clientConfig(server.port, client));
    const { status, reason } = await get(ours.port);
    const expected = await get(theirs.port);
    expect({ status, reason }).toEqual({ status: expected.status, reason: expected.reason });
  });
});

/** `openssl s_server`, which answers requests with a page. */
async function opensslServer(
  who: string,
  options: readonly string[],
): Promise<AsyncDisposable & { readonly port: number }> {
  const files = ['-cert', `${who}.pem`, '-key', `${who}.key`];
  const child = spawn('openssl', ['s_server', '-accept', '0', ...files, '-www', ...options], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const port = await new Promise<number>((resolve) => {
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
      const match = /ACCEPT .*:(\d+)/.exec(said);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await exited;
    },
  };
}

describe('clients that people use', () => {
  test('a client that wants to renegotiate is not answered', async (context) => {
    if (!has('openssl')) return context.skip('needs openssl');
    await using proxy = await startTestProxy(
      inChain(
        httpConfig(1, { routes: OK }),
        transportSocket('DownstreamTlsContext', {
          common_tls_context: { tls_certificates: [certificate(pki.server)] },
        }),
      ),
    );
    const child = spawn(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${proxy.port}`, '-tls1_2', '-legacy_renegotiation'],
      { cwd: folder },
    );
    let said = '';
    let asked = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        said += chunk;
        if (!asked && said.includes('Verify return code')) {
          asked = true;
          child.stdin.write('R\n');
        }
      });
    }
    await new Promise((resolve) => child.once('close', resolve));
    expect(said).toContain('no renegotiation');
    expect(proxy.stat('listener.127.0.0.1_0.ssl.handshake')).toBe(1);
  });

  test.for(['1.2', '1.3'])('curl over TLS %s', async (version, context) => {
    if (!has('curl')) return context.skip('needs curl');
    await using proxy = await startTestProxy(SERVER);
    const url = `https://server.test:${proxy.port}/`;
    const args = [
      '-sS',
      '--cacert',
      'ca.pem',
      '--resolve',
      `server.test:${proxy.port}:127.0.0.1`,
      `--tlsv${version}`,
      '--tls-max',
      version,
    ];
    const answer = await run('curl', [...args, '--cert', 'client.pem', '--key', 'client.key', url], { cwd: folder });
    expect(answer.stdout).toBe('served');
    await expect(run('curl', [...args, url], { cwd: folder })).rejects.toThrow();
    await expect(
      run('curl', [...args, '--cert', 'rogue.pem', '--key', 'rogue.key', url], { cwd: folder }),
    ).rejects.toThrow();
  });

  test('openssl s_client: chain, protocol, and close_notify at the end', async (context) => {
    if (!has('openssl')) return context.skip('needs openssl');
    await using proxy = await startTestProxy(SERVER);
    const said = await new Promise<string>((resolve) => {
      const files = ['-CAfile', 'ca.pem', '-cert', 'client.pem', '-key', 'client.key', '-servername', 'server.test'];
      const args = ['s_client', '-connect', `127.0.0.1:${proxy.port}`, '-alpn', 'http/1.1', '-ign_eof', ...files];
      const child = spawn('openssl', args, { cwd: folder });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
      child.on('close', () => resolve(text));
      child.stdin.write('GET / HTTP/1.1\r\nhost: server.test\r\nconnection: close\r\n\r\n');
    });
    expect(said).toContain('Verification: OK');
    expect(said).toContain('ALPN protocol: http/1.1');
    expect(said).toContain('served');
    expect(said).not.toContain('unexpected eof');
  });
});
