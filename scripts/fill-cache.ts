import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { codeCachePath, snapshotPath } from '../src/cli/compiled-script.ts';
import { createDemoApp } from '../src/demo/app.ts';
import { buildSnapshot } from './snapshot.ts';

/** How long the bundle may take to answer and to end. */
const DEADLINE_MS = 20_000;

const KEEP_CODE = join(import.meta.dirname, 'keep-code.cjs');

/**
 * Runs the bundle through a request and keeps the code that V8 compiled for it: of run.cjs and its parts beside them, of
 * the rest in dist/cache. Then it makes the start-up snapshot of run.cjs. All are tied to the version of Node; another Node starts as
 * if they were not there.
 */
export async function fillCache(root: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-build-'));
  const app = createDemoApp();
  try {
    await once(app.listen(0, '127.0.0.1'), 'listening');
    const { port } = app.address() as { port: number };
    const file = join(folder, 'envoy.yaml');
    writeFileSync(file, configuration(port));
    const entry = join(root, 'dist/outrigger.js');
    const caches = globSync('run*.cjs', { cwd: dirname(entry) }).map((name) => {
      const path = join(dirname(entry), name);
      return [path, codeCachePath(path)] as const;
    });
    // They must be there for the scripts to be loaded in the way that uses them.
    for (const [, cache] of caches) writeFileSync(cache, '');
    await runOnce(['--require', KEEP_CODE], entry, file, Object.fromEntries(caches));
    await runOnce([], entry, file);
    // What scripts and images call often. The health check finds nothing, and has been compiled all the same.
    const calls = [['check', '-c', file], ['healthcheck', '--admin', '127.0.0.1:1'], ['help']];
    for (const args of [...calls, ['intercept', 'install', '--dry-run']]) {
      spawnSync(process.execPath, [entry, ...args], { stdio: 'ignore' });
    }
    const bundle = join(dirname(entry), 'run.cjs');
    const plain = join(folder, 'plain.yaml');
    writeFileSync(plain, configuration(port, '', '', ''));
    const short = join(folder, 'short.yaml');
    writeFileSync(short, `listen: 127.0.0.1:0\napp: 127.0.0.1:${port}\nhttp:\n  websocket: false\n`);
    await buildSnapshot(bundle, [plain, short], snapshotPath(bundle));
    await runOnce(['--snapshot-blob', snapshotPath(bundle)], entry, file);
  } finally {
    app.close();
    app.closeAllConnections();
    rmSync(folder, { recursive: true });
  }
}

/** Runs and serves; `caches` says where `keep-code.cjs` writes V8's code for each file at the end. */
async function runOnce(
  options: readonly string[],
  entry: string,
  file: string,
  caches: Readonly<Record<string, string>> = {},
): Promise<void> {
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--max-semi-space-size=16',
    ...options,
    entry,
    'run',
    '--concurrency',
    '1',
    '-c',
    file,
    '--drain-time',
    '0',
  ];
  const env = { ...process.env, KEEP_CODE: JSON.stringify(caches) };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
    const port = /listening on 127\.0\.0\.1:(\d+)/.exec(log)?.[1];
    if (port !== undefined && !child.killed) void request(Number(port)).finally(() => child.kill('SIGTERM'));
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(deadline);
  if (code !== 0) throw new Error(`the bundle did not run (exit ${code}):\n${log}`);
}

async function request(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`the bundle answered ${response.status}`);
}

/** What many configurations have, so that its code is in the cache. */
const ACCESS_LOG = `
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config: { "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog }`;

const COMMON_FILTERS = `
          - name: envoy.filters.http.rbac
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC }
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: warm
              token_bucket: { max_tokens: 100, fill_interval: 1s }
              filter_enabled: { default_value: { numerator: 100 } }
              filter_enforced: { default_value: { numerator: 100 } }`;

const ADMIN = `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }`;

function configuration(appPort: number, more = ACCESS_LOG, filters = COMMON_FILTERS, admin = ADMIN): string {
  return `${admin}
static_resources:
  listeners:
  - name: warm
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: warm${more}
          http_filters:${filters}
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts: [{ name: app, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: app } }] }]
  clusters:
  - name: app
    type: STATIC
    load_assignment:
      cluster_name: app
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${appPort} } } } }] }]
`;
}
