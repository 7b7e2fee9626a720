import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import type { Issued } from '../support/pki.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { TestClient } from '../support/sockets.ts';
import { inChain, TestPki, transportSocket } from '../support/tls.ts';
import { EnvoyProcess } from './differential/harness/envoy-process.ts';

const run = promisify(execFile);
const pki = new TestPki();
const folder = mkdtempSync(join(tmpdir(), 'outrigger-tls-secrets-'));
const envoy = findEnvoy();
const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;
const TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
const PATIENCE = { timeout: 20_000 };

beforeAll(() => {
  writeFileSync(join(folder, 'ca.pem'), pki.ca.cert);
  writeFileSync(join(folder, 'client.pem'), pki.client.cert);
  writeFileSync(join(folder, 'client.key'), pki.client.key);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** What both sides of a hop use of a proxy, whichever it is. */
interface Proxy extends AsyncDisposable {
  readonly port: number;
  stat(name: string): Promise<number>;
}

async function startOutrigger(text: string): Promise<Proxy> {
  const proxy = await startTestProxy(text);
  return Object.assign(proxy, { stat: async (name: string) => proxy.proxy && readStat(proxy, name) }) as never;
}

function readStat(proxy: Awaited<ReturnType<typeof startTestProxy>>, name: string): number {
  const { counters, gauges } = (proxy.proxy as never as { runtime: { stats: { counters: Stats; gauges: Stats } } })
    .runtime.stats;
  return (counters.get(name) ?? gauges.get(name))?.value ?? 0;
}

type Stats = ReadonlyMap<string, { readonly value: number }>;

async function startEnvoy(text: string): Promise<Proxy> {
  const own = mkdtempSync(join(folder, 'envoy-'));
  const head =
    'node: { id: test, cluster: test }\nadmin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n';
  const process = await EnvoyProcess.start(envoy as string, head + text, own);
  const [port] = (await process.listeners(1)).values();
  const admin = readFileSync(join(own, 'envoy-admin'), 'utf8').trim();
  return Object.assign(process, {
    port: port as number,
    stat: async (name: string) => {
      const text = await (await fetch(`http://${admin}/stats?filter=${encodeURIComponent(`^${name}$`)}`)).text();
      return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
    },
  }) as never;
}

const START = { Outrigger: startOutrigger, Envoy: startEnvoy } as const;
const KINDS = ['Outrigger', 'Envoy'] as const;

/** The secrets of one side: Envoy wants a file for each. */
function secrets({ cert, key }: Issued, ca: string): Record<string, string> {
  const inline = (text: string): object => ({ inline_string: text });
  const file = (secret: object): string => JSON.stringify({ resources: [{ '@type': TYPE, ...secret }] });
  return {
    'cert.json': file({
      name: 'cert',
      tls_certificate: { certificate_chain: inline(cert), private_key: inline(key) },
    }),
    'roots.json': file({ name: 'roots', validation_context: { trusted_ca: inline(ca) } }),
  };
}

function common(volume: SecretVolume, san: string): object {
  const source = (name: string): object => ({
    name,
    sds_config: {
      path_config_source: { path: volume.file(`${name}.json`), watched_directory: { path: volume.path } },
    },
  });
  return {
    tls_certificate_sds_secret_configs: [source('cert')],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: san } }] },
      validation_context_sds_secret_config: source('roots'),
    },
  };
}

const OK = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';

const server = (volume: SecretVolume): string =>
  inChain(
    httpConfig(1, { routes: OK }),
    transportSocket('DownstreamTlsContext', {
      require_client_certificate: true,
      common_tls_context: common(volume, 'client.test'),
    }),
  );

const client = (volume: SecretVolume, port: number): string =>
  httpConfig(port, {
    cluster: transportSocket('UpstreamTlsContext', {
      common_tls_context: {
        ...common(volume, 'server.test'),
        tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
      },
    }),
  });

async function status(port: number): Promise<string> {
  const one = await TestClient.connect(port);
  one.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await one.untilClosed();
  return one.text.substring(9, 12);
}

describe('a mutual TLS hop whose secrets rotate', () => {
  let clients = 0;
  for (const near of KINDS) {
    for (const far of KINDS) {
      test(`from ${near} to ${far}: no request fails, and then the old authority is believed no more`, {
        timeout: 60_000,
      }, async (context) => {
        if (envoy === undefined) return context.skip(NO_ENVOY);
        const both = `${pki.ca.cert}${pki.otherCa.cert}`;
        const [oldServer, oldClient] = [pki.server, pki.client];
        const newServer = pki.otherCa.issue({ commonName: 'server', names: ['DNS:server.test'] });
        const newClient = pki.otherCa.issue({ commonName: 'client', names: ['DNS:client.test'] });
        using behind = new SecretVolume(secrets(oldServer, pki.ca.cert));
        using ahead = new SecretVolume(secrets(oldClient, pki.ca.cert));
        await using app = await START[far](server(behind));
        await using proxy = await START[near](client(ahead, app.port));
        let updates = 1;
        const step = async (ofServer: Record<string, string>, ofClient: Record<string, string>): Promise<void> => {
          updates++;
          behind.swap(ofServer);
          ahead.swap(ofClient);
          const taken = async (): Promise<boolean> => {
            expect(await status(proxy.port)).toBe('200');
            const factory = 'ssl_socket_factory.ssl_context_update_by_sds';
            const counts = [
              await app.stat(`listener.127.0.0.1_0.server_${factory}`),
              await proxy.stat(`cluster.app.client_${factory}`),
            ];
            return counts.every((count) => count >= updates);
          };
          await expect.poll(taken, PATIENCE).toBe(true);
          expect(await status(proxy.port)).toBe('200');
        };
        expect(await status(proxy.port)).toBe('200');
        await step(secrets(oldServer, both), secrets(oldClient, both));
        await step(secrets(newServer, both), secrets(newClient, both));
        await step(secrets(newServer, pki.otherCa.cert), secrets(newClient, pki.otherCa.cert));
        const before = await proxy.stat('sds.cert.update_success');
        ahead.swap(secrets(oldClient, pki.otherCa.cert));
        await expect.poll(() => proxy.stat('sds.cert.update_success'), PATIENCE).toBeGreaterThan(before);
        clients = 8;
        await expect.poll(() => anew(proxy), PATIENCE).toBe('503');
      });
    }
  }

  /** What a request gets on a connection to the upstream of its own: an open one does not notice a rotation. */
  async function anew(proxy: Proxy): Promise<string> {
    clients += 8;
    const all = await Promise.all(Array.from({ length: clients }, () => status(proxy.port)));
    return all.find((one) => one !== '200') ?? '200';
  }
});

describe('a file of secrets, as Envoy reads it', () => {
  const cases = [
    ['good', secrets(pki.server, pki.otherCa.cert)['roots.json']],
    ['not parsable', '{ "resources": ['],
    ['without the secret', '{ "resources": [] }'],
    ['an authority that is none', secrets(pki.server, 'nonsense')['roots.json']],
  ] as const;

  test.for(cases)('%s', async ([, text], context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    const found: Record<string, object> = {};
    for (const kind of KINDS) {
      using volume = new SecretVolume(secrets(pki.client, pki.ca.cert));
      await using proxy = await START[kind](server(volume));
      volume.swap({ 'roots.json': text as string });
      await expect.poll(() => proxy.stat('sds.roots.update_attempt'), PATIENCE).toBeGreaterThan(1);
      const stats: Record<string, number> = {};
      for (const name of ['success', 'failure', 'rejected']) {
        stats[name] = await proxy.stat(`sds.roots.update_${name}`);
      }
      found[kind] = stats;
    }
    expect(found.Outrigger).toEqual(found.Envoy);
  });
});

describe('openssl s_client', () => {
  const session = join(folder, 'session.pem');

  async function connect(port: number, ...args: readonly string[]): Promise<string> {
    const files = ['-CAfile', 'ca.pem', '-cert', 'client.pem', '-key', 'client.key'];
    const options = ['s_client', '-connect', `127.0.0.1:${port}`, ...files, ...args];
    const running = run('openssl', options, { cwd: folder, timeout: 20_000 });
    running.child.stdin?.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => error);
    return stdout + stderr;
  }

  test.for(['-tls1_2', '-tls1_3'])('resumes a session, until its authority is gone: %s', async (version, context) => {
    if (!has('openssl')) return context.skip('needs openssl');
    rmSync(session, { force: true });
    using volume = new SecretVolume(secrets(pki.server, pki.ca.cert));
    await using proxy = await startOutrigger(server(volume));
    expect(await connect(proxy.port, version, '-ign_eof', '-sess_out', session)).toContain('served');
    expect(existsSync(session)).toBe(true);
    const again = await connect(proxy.port, version, '-ign_eof', '-sess_in', session);
    expect(again).toMatch(/^Reused, TLSv1/m);
    expect(again).toContain('served');
    volume.swap(secrets(pki.server, pki.otherCa.cert));
    await expect
      .poll(() => proxy.stat('listener.127.0.0.1_0.server_ssl_socket_factory.ssl_context_update_by_sds'), PATIENCE)
      .toBe(2);
    const refused = await connect(proxy.port, version, '-ign_eof', '-sess_in', session);
    expect(refused).not.toMatch(/^Reused/m);
    expect(refused).not.toContain('served');
    expect(await proxy.stat('listener.127.0.0.1_0.ssl.fail_verify_error')).toBe(1);
  });

  test.for(['-tls1', '-tls1_1'])('is refused with an old protocol: %s', async (version, context) => {
    if (!has('openssl')) return context.skip('needs openssl');
    using volume = new SecretVolume(secrets(pki.server, pki.ca.cert));
    const proxy = await startTestProxy(server(volume));
    const said = await connect(proxy.port, version, '-cipher', 'ALL:@SECLEVEL=0');
    expect(said).toMatch(/alert protocol version/);
    expect(readStat(proxy, 'listener.127.0.0.1_0.ssl.connection_error')).toBe(1);
    expect(proxy.logLines.join('')).toMatch(/TLS handshake failed.*UNSUPPORTED_PROTOCOL/);
    await proxy[Symbol.asyncDispose]();
  });
});
