import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { EnvoyProcess } from './differential/harness/envoy-process.ts';

interface Subject {
  readonly name: string;
  readonly ports: ReadonlyMap<string, number>;
  post(path: string): Promise<void>;
  stat(name: string): Promise<number>;
}

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('failed health checks', () => {
  const program = findEnvoy();
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-health-'));
  const stack = new AsyncDisposableStack();
  const subjects: Subject[] = [];

  beforeAll(async () => {
    if (program === undefined) return;
    subjects.push(await startEnvoy(program), await startOutrigger());
  });

  afterAll(async () => {
    await stack.disposeAsync();
    rmSync(folder, { recursive: true, force: true });
  });

  async function startEnvoy(envoyProgram: string): Promise<Subject> {
    const envoy = stack.use(await EnvoyProcess.start(envoyProgram, CONFIGURATION, folder));
    return {
      name: 'Envoy',
      ports: await envoy.listeners(2),
      post: (path) => envoy.post(path),
      stat: async (name) => (await envoy.stats()).get(name) ?? 0,
    };
  }

  async function startOutrigger(): Promise<Subject> {
    const proxy = stack.use(await startTestProxy(CONFIGURATION));
    const admin = proxy.proxy.adminAddress;
    return {
      name: 'Outrigger',
      ports: new Map(proxy.proxy.listeners().map((listener) => [listener.name, listener.port])),
      post: async (path) => void (await fetch(`http://${admin?.host}:${admin?.port}${path}`, { method: 'POST' })),
      stat: async (name) => proxy.stat(name),
    };
  }

  /** What three requests on one connection get, health checks being failed before the second one and passed before the third. */
  async function story({ ports, post, stat }: Subject, listener: string): Promise<unknown> {
    const open = async () => TestClient.connect(ports.get(listener) as number);
    const before = await open();
    const idle = await open();
    for (const client of [before, idle]) await client.write(GET);
    await before.untilText('alive');
    await idle.untilText('alive');
    await post('/healthcheck/fail');
    before.write(GET);
    await before.until(({ text, ended }) => ended || text.split('alive').length === 3);
    const failed = { close: before.text.includes('connection: close'), idleEnds: idle.ended };
    const fresh = await open();
    fresh.write(GET);
    await fresh.untilText('alive');
    await post('/healthcheck/ok');
    idle.write(GET);
    await idle.until(({ text, ended }) => ended || text.split('alive').length === 3);
    const outcome = {
      ...failed,
      freshCloses: fresh.text.includes('connection: close'),
      idleAfterwards: idle.text.includes('connection: close') ? 'closes' : 'goes on',
      drainClose: await stat(`http.${listener}.downstream_cx_drain_close`),
    };
    for (const client of [before, idle, fresh]) client.destroy();
    return outcome;
  }

  it.for(['DEFAULT', 'MODIFY_ONLY'])('drain_type: %s', async (type, context) => {
    if (program === undefined) return context.skip(NO_ENVOY);
    const [envoy, outrigger] = subjects as [Subject, Subject];
    const wanted = await story(envoy, type);
    expect(await story(outrigger, type)).toEqual(wanted);
    expect(wanted).toMatchObject({ close: type === 'DEFAULT', idleAfterwards: 'goes on' });
  });
});

const CONFIGURATION = `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
${['DEFAULT', 'MODIFY_ONLY'].map(listener).join('\n')}
`;

function listener(type: string): string {
  return `  - name: ${type}
    drain_type: ${type}
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${type}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: alive } } }]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;
}
