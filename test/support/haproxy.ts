import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unusedPort } from './proxy-process.ts';

/** Why HAProxy does not run here, or undefined. */
export function missingHaproxy(): string | undefined {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs HAProxy (Debian package haproxy)';
  }
}

/** HAProxy in front of an HTTP/1.1 app, with HTTP/2 by prior knowledge: what a test of HTTP/2 proves itself on. */
export class HaproxyProcess implements AsyncDisposable {
  readonly port: number;
  private readonly child: ChildProcess;
  private readonly folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.child = child;
    this.folder = folder;
  }

  static async start(appPort: number): Promise<HaproxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-haproxy-'));
    const port = await unusedPort();
    writeFileSync(join(folder, 'haproxy.cfg'), configuration(port, appPort));
    const child = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore' });
    const haproxy = new HaproxyProcess(port, child, folder);
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(20)) {
      if (await accepts(port)) return haproxy;
    }
    await haproxy[Symbol.asyncDispose]();
    throw new Error('HAProxy did not start');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const configuration = (port: number, appPort: number): string => `defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend downstream
  bind 127.0.0.1:${port} proto h2
  default_backend app
backend app
  server app 127.0.0.1:${appPort}
`;

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
