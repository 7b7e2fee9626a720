import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 15_000;

/** A running Envoy of one worker thread. */
export class EnvoyProcess implements AsyncDisposable {
  private readonly child: ChildProcess;
  private readonly admin: string;

  private constructor(child: ChildProcess, admin: string) {
    this.child = child;
    this.admin = admin;
  }

  /** @throws Error with what Envoy says, when it does not start */
  static async start(program: string, configuration: string, folder: string): Promise<EnvoyProcess> {
    const file = join(folder, 'envoy.yaml');
    const adminFile = join(folder, 'envoy-admin');
    writeFileSync(file, configuration);
    const args = ['--disable-hot-restart', '--concurrency', '1', '-l', 'error', '--file-flush-interval-msec', '20'];
    const child = spawn(program, [...args, '--admin-address-path', adminFile, '-c', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (Date.now() < deadline && child.exitCode === null) {
      if (existsSync(adminFile)) {
        const address = readFileSync(adminFile, 'utf8').trim();
        const envoy = new EnvoyProcess(child, address);
        if (address !== '' && (await envoy.ready())) return envoy;
      }
      await sleep(20);
    }
    child.kill('SIGKILL');
    throw new Error(`Envoy did not start: ${said.slice(0, 4000)}`);
  }

  /** Ports of the listeners by name, once there are so many: Envoy is live some time before. */
  async listeners(count: number): Promise<Map<string, number>> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
      const { listener_statuses: found = [] } = JSON.parse(await this.get('/listeners?format=json')) as ListenersReply;
      const ports = new Map(found.map((status) => [status.name, status.local_address.socket_address.port_value]));
      if (ports.size >= count) return ports;
    }
    throw new Error(`Envoy did not open its ${count} listeners`);
  }

  /** Counters and gauges by name. */
  async stats(): Promise<Map<string, number>> {
    const lines = (await this.get('/stats?filter=^(http|cluster|tcp|limit)\\.')).split('\n');
    return new Map(
      lines.map((line) => {
        const colon = line.lastIndexOf(': ');
        return [line.slice(0, colon), Number(line.slice(colon + 2))];
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), 3000);
    await exited;
    clearTimeout(late);
  }

  private async ready(): Promise<boolean> {
    try {
      return (await this.get('/ready')).startsWith('LIVE');
    } catch {
      return false;
    }
  }

  async post(path: string): Promise<void> {
    const reply = await fetch(`http://${this.admin}${path}`, { method: 'POST' });
    await reply.text();
  }

  private async get(path: string): Promise<string> {
    const reply = await fetch(`http://${this.admin}${path}`);
    return reply.text();
  }
}

interface ListenersReply {
  listener_statuses?: { name: string; local_address: { socket_address: { port_value: number } } }[];
}
