import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CompiledPlan } from '../../../policies/planner/sidecar-file.ts';
import { toYaml } from '../../../src/config/expand.ts';
import { unusedPort } from '../../support/proxy-process.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', '..', 'bin', 'outrigger');
const START_TIMEOUT_MS = 60_000;

/** What sidecars have counted, all of those that run added up. */
export interface Counted {
  /** Answered 403 by a rule. */
  readonly denied: number;
  /** Tries besides the first ones. */
  readonly retried: number;
  /** Requests that a further try saved. */
  readonly recovered: number;
  /** Requests that no try was left for. */
  readonly givenUp: number;
}

const COUNTERS: Readonly<Record<keyof Counted, RegExp>> = {
  denied: /^http\.[^.]+\.rbac\.(?!policy\.)(?!.*shadow_denied$).*denied$/,
  retried: /^cluster\..*\.upstream_rq_retry$/,
  recovered: /^cluster\..*\.upstream_rq_retry_success$/,
  givenUp: /^cluster\..*\.upstream_rq_retry_limit_exceeded$/,
};

/** Sidecars of a plan and apps behind them, each sidecar in a process of its own. */
export class MeshProcesses implements AsyncDisposable {
  private readonly folder = mkdtempSync(join(tmpdir(), 'outrigger-plan-'));
  private readonly children = new Map<string, ChildProcess>();
  private readonly apps = new Map<string, Server>();
  /** Ports of the sidecars' admin servers. */
  private readonly admins = new Map<string, number>();
  /** Apps that die with the next request in hand. */
  private readonly dying = new Set<string>();
  private compiled: CompiledPlan = { sidecars: new Map(), addresses: [] };

  /** How many sidecars run. */
  get sidecars(): number {
    return [...this.children.keys()].filter((name) => !name.startsWith('+')).length;
  }

  pidOf(name: string): number {
    return this.children.get(name)?.pid ?? 0;
  }

  get names(): string[] {
    return [...this.children.keys()];
  }

  /** An app that answers 200 with its name. */
  async startApp(name: string, address: string): Promise<void> {
    const server = createServer((request, response) => {
      if (this.dying.delete(name)) {
        request.socket.destroy();
        return;
      }
      request.resume();
      response.end(`${name} ${request.url}`);
    });
    const { hostname, port } = new URL(`http://${address}`);
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(Number(port), hostname, resolve));
    this.apps.set(name, server);
  }

  stopApp(name: string): void {
    this.apps.get(name)?.closeAllConnections();
    this.apps.get(name)?.close();
    this.apps.delete(name);
  }

  /** The next request of this app is lost with the process that has it in hand; another process is there at once. */
  crashWithNextRequest(name: string): void {
    this.dying.add(name);
  }

  /** From /stats of every sidecar that runs. */
  async counted(): Promise<Counted> {
    const found: Record<keyof Counted, number> = { denied: 0, retried: 0, recovered: 0, givenUp: 0 };
    for (const name of this.names.filter((one) => !one.startsWith('+'))) {
      const text = await (await fetch(`http://127.0.0.1:${this.admins.get(name)}/stats`)).text();
      for (const line of text.split('\n')) {
        const [stat = '', value] = line.split(': ');
        for (const [what, pattern] of Object.entries(COUNTERS) as [keyof Counted, RegExp][])
          if (pattern.test(stat)) found[what] += Number(value);
      }
    }
    return found;
  }

  /** The rate limit service, with the limits of a policy. */
  async startLimits(limits: object, address: string): Promise<void> {
    const file = join(this.folder, 'limits.yaml');
    writeFileSync(file, toYaml(limits));
    this.spawn('+limits', ['ratelimit', '--config', file, '--listen', address]);
    await this.listening('+limits', address);
  }

  /** Runs a plan: what it has not, stops; what is different, is loaded anew by whoever runs already. */
  async run(compiled: CompiledPlan): Promise<void> {
    this.compiled = compiled;
    for (const name of this.names) {
      if (!name.startsWith('+') && !compiled.sidecars.has(name)) await this.kill(name);
    }
    for (const [name, bootstrap] of compiled.sidecars) {
      const file = join(this.folder, `${name}.yaml`);
      if (!this.admins.has(name)) this.admins.set(name, await unusedPort());
      const admin = { address: { socket_address: { address: '127.0.0.1', port_value: this.admins.get(name) } } };
      const text = toYaml({ ...bootstrap, admin });
      const isRunning = this.children.has(name);
      const isSame = isRunning && readFileSync(file, 'utf8') === text;
      writeFileSync(file, text);
      if (!isRunning) this.spawn(name, ['run', '-c', file]);
      else if (!isSame) this.children.get(name)!.kill('SIGHUP');
    }
    for (const [name, bootstrap] of compiled.sidecars) {
      const admin = `127.0.0.1:${this.admins.get(name)}`;
      for (const address of [...listenersOf(bootstrap), admin]) await this.listening(name, address);
    }
  }

  /** Sends a request as the app of `from` would, to where it finds `to`; the status, or why there is none. */
  async call(
    from: string,
    to: string,
    path: string,
    init: { method?: string; headers?: Record<string, string> } = {},
  ): Promise<number | string> {
    const entry = this.compiled.addresses.find((one) => one.from === from && one.to === to);
    if (entry === undefined) throw new Error(`${from} does not call ${to}`);
    try {
      const response = await fetch(`http://${entry.address}${path}`, {
        ...init,
        headers: { connection: 'close', ...init.headers },
      });
      await response.text();
      return response.status;
    } catch (error) {
      return String(((error as Error).cause as { code?: string } | undefined)?.code ?? error);
    }
  }

  async kill(name: string): Promise<void> {
    const child = this.children.get(name);
    this.children.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.names) await this.kill(name);
    for (const name of [...this.apps.keys()]) this.stopApp(name);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private spawn(name: string, args: readonly string[]): void {
    const child = spawn(LAUNCHER, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    Object.assign(child, { said: () => said });
    this.children.set(name, child);
  }

  private async listening(name: string, address: string): Promise<void> {
    const { hostname, port } = new URL(`http://${address}`);
    for (const deadline = Date.now() + START_TIMEOUT_MS; ; await sleep(30)) {
      if (await isOpen(hostname, Number(port))) return;
      const child = this.children.get(name) as (ChildProcess & { said?: () => string }) | undefined;
      if (Date.now() > deadline || child?.exitCode !== null)
        throw new Error(`${name} does not listen at ${address}: ${child?.said?.()}`);
    }
  }
}

function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function listenersOf(bootstrap: Record<string, unknown>): string[] {
  const { listeners } = bootstrap.static_resources as {
    listeners: { address: { socket_address: { address: string; port_value: number } } }[];
  };
  return listeners.map(({ address: { socket_address: at } }) => `${at.address}:${at.port_value}`);
}
