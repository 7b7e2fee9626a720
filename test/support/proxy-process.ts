import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findEnvoy } from './envoy.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', 'bin', 'outrigger');
const START_TIMEOUT_MS = 20_000;

/** Who runs the configuration. */
export type ProxyName = 'outrigger' | 'envoy';

/** Where the configuration says so, the access log goes here; one file per process. */
export const LOG_FILE = '$log';

/**
 * A proxy in a process of its own, Outrigger or the real Envoy, with the same configuration: what tests measure of it is
 * not their own, and what they expect can be held to Envoy.
 */
export class ProxyProcess implements AsyncDisposable {
  readonly name: ProxyName;
  readonly folder: string;
  ports: ReadonlyMap<string, number> = new Map();
  /** What it has written to its standard output and error. */
  said = '';
  private readonly child: ChildProcess;
  private admin = '';

  private constructor(name: ProxyName, child: ChildProcess, folder: string) {
    this.name = name;
    this.child = child;
    this.folder = folder;
    const keep = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-20_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
  }

  /** @param text a configuration in Envoy's form, without `admin`; listeners have port 0 */
  static async start(name: ProxyName, text: string, threads = 1): Promise<ProxyProcess> {
    for (let tries = 1; ; tries++) {
      try {
        return await ProxyProcess.startOnce(name, text, threads);
      } catch (error) {
        // A port that was free a moment ago is not always free now.
        if (tries === 5 || !String(error).includes('in use')) throw error;
      }
    }
  }

  private static async startOnce(name: ProxyName, text: string, threads: number): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), `${name}-process-`));
    const file = join(folder, 'config.yaml');
    const adminPort = name === 'envoy' ? 0 : await unusedPort();
    const admin = `admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${adminPort} } } }\n`;
    writeFileSync(file, admin + text.replaceAll(LOG_FILE, join(folder, 'access.log')));
    const adminFile = join(folder, 'admin-address');
    const child =
      name === 'envoy'
        ? spawnEnvoy(file, adminFile, threads)
        : spawn(LAUNCHER, ['run', '-c', file, '--concurrency', String(threads)]);
    const proxy = new ProxyProcess(name, child, folder);
    try {
      await proxy.live(() => (adminPort > 0 ? `127.0.0.1:${adminPort}` : readIfThere(adminFile).trim()));
    } catch (error) {
      await proxy[Symbol.asyncDispose]();
      throw error;
    }
    return proxy;
  }

  /** Of the first listener. */
  get port(): number {
    return [...this.ports.values()][0] ?? 0;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resident memory now, bytes. */
  rssBytes(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  }

  /** Processor time so far, milliseconds. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  /** Counters and gauges by name. */
  async stats(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const line of (await this.get('/stats')).split('\n')) {
      const colon = line.lastIndexOf(': ');
      const value = Number(line.slice(colon + 2));
      if (colon > 0 && !Number.isNaN(value)) found.set(line.slice(0, colon), value);
    }
    return found;
  }

  /** Waits until a counter or gauge fulfils the condition; its value. */
  async stat(name: string, condition: (value: number) => boolean = () => true, timeoutMs = 5000): Promise<number> {
    for (const deadline = Date.now() + timeoutMs; ; await sleep(30)) {
      const value = (await this.stats()).get(name) ?? 0;
      if (condition(value)) return value;
      if (Date.now() > deadline) throw new Error(`${this.name}: ${name} is still ${value} after ${timeoutMs} ms`);
    }
  }

  /** The access log's lines so far. */
  log(): string[] {
    const lines = readIfThere(join(this.folder, 'access.log')).split('\n');
    return lines.filter((line) => line !== '');
  }

  /** Makes it write down what waits for its log files. */
  async reopenLogs(): Promise<void> {
    if (this.name === 'outrigger') this.child.kill('SIGUSR1');
    await sleep(50);
  }

  /** A page of the admin server. */
  text(path: string): Promise<string> {
    return this.get(path);
  }

  /** Waits until the access log has a line that matches. */
  async logged(match: (line: string) => boolean, timeoutMs = 5000): Promise<string> {
    for (const deadline = Date.now() + timeoutMs; ; await sleep(30)) {
      // Log files are opened anew, which writes down what waits.
      if (this.name === 'outrigger') this.child.kill('SIGUSR1');
      const found = this.log().find(match);
      if (found !== undefined) return found;
      if (Date.now() > deadline)
        throw new Error(`${this.name}: no such line within ${timeoutMs} ms:\n${this.log().join('\n')}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isRunning) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async live(address: () => string): Promise<void> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline && this.isRunning; await sleep(20)) {
      this.admin = address();
      try {
        if (this.admin === '' || !(await this.get('/ready')).startsWith('LIVE')) continue;
        const { listener_statuses: found = [] } = JSON.parse(
          await this.get('/listeners?format=json'),
        ) as ListenersReply;
        this.ports = new Map(found.map((status) => [status.name, status.local_address.socket_address.port_value]));
        if (this.ports.size > 0) return;
      } catch (error) {
        // Not listening yet, or no listener has its address yet.
        if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      }
    }
    throw new Error(`${this.name} did not start: ${this.said}`);
  }

  private async get(path: string): Promise<string> {
    return (await fetch(`http://${this.admin}${path}`)).text();
  }
}

interface ListenersReply {
  listener_statuses?: { name: string; local_address: { socket_address: { port_value: number } } }[];
}

function spawnEnvoy(file: string, adminFile: string, threads: number): ChildProcess {
  const program = findEnvoy();
  if (program === undefined) throw new Error('no Envoy');
  const quick = [
    '--concurrency',
    String(threads),
    '--file-flush-interval-msec',
    '20',
    '--disable-hot-restart',
    '-l',
    'error',
  ];
  return spawn(program, [...quick, '--admin-address-path', adminFile, '-c', file]);
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'latin1') : '';
}

const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

/** A free port, of those that the system gives to nobody by itself: no neighbour's connection takes it in the meantime. */
export async function unusedPort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return port;
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT}`);
}
