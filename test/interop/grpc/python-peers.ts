import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { CallResult, CallSpec, GrpcClient, GrpcServer } from './peers.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const SCRIPTS = join(import.meta.dirname, 'python');

/** A Python with grpcio: OUTRIGGER_GRPC_PYTHON, or what `.ci/run` installs. */
const PYTHON = process.env.OUTRIGGER_GRPC_PYTHON ?? join(ROOT, '.bench', 'grpc', 'bin', 'python');

/** Why Python's gRPC does not run here, or undefined. */
export function missingPython(): string | undefined {
  if (existsSync(PYTHON)) return undefined;
  return 'needs Python with grpcio: python3 -m venv .bench/grpc && .bench/grpc/bin/pip install grpcio';
}

/** A script that speaks in lines, and ends with its standard input. */
class Script {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;

  constructor(script: string, args: readonly string[] = []) {
    this.child = spawn(PYTHON, [join(SCRIPTS, script), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, GRPC_VERBOSITY: 'NONE' },
    });
    this.reader = createInterface(this.child.stdout);
    this.lines = this.reader[Symbol.asyncIterator]();
  }

  write(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  async read(): Promise<string> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error('the Python process has ended');
    return value;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
    this.reader.close();
  }
}

/** The client of Python's grpc.aio. */
export class PythonClient implements GrpcClient {
  private readonly script: Script;

  constructor(port: number) {
    this.script = new Script('echo_client.py', [String(port)]);
  }

  async call(spec: CallSpec): Promise<CallResult[]> {
    this.script.write(JSON.stringify(spec));
    return JSON.parse(await this.script.read()) as CallResult[];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.script.stop();
  }
}

/** The server of Python's grpc.aio. */
export class PythonServer implements GrpcServer {
  port = 0;
  private readonly script = new Script('echo_server.py');

  async start(): Promise<this> {
    this.port = Number(await this.script.read());
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.script.stop();
  }
}
