import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, runToEnd } from '../run/children.ts';
import { findProgram } from '../run/root.ts';

export interface SaturationOptions {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly durationS: number;
  /** Bytes of a POST body; 0 sends GET. */
  readonly uploadBytes: number;
  readonly expectStatus: number;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly cores: readonly number[];
  /** For the generator's own files. */
  readonly directory: string;
}

export interface SaturationResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Wrong status, lost connections, timeouts. */
  readonly errors: number;
}

/** A closed-loop load: every connection sends its next request when the last was answered. */
export interface SaturationLoad {
  readonly name: 'wrk' | 'autocannon';
  run(options: SaturationOptions): Promise<SaturationResult>;
}

/** wrk where it is installed, else autocannon, which comes with the development dependencies. */
export function saturationLoad(root: string): SaturationLoad {
  const wrk = findProgram('wrk');
  if (wrk !== undefined) return { name: 'wrk', run: (options) => runWrk(wrk, options) };
  return { name: 'autocannon', run: (options) => runAutocannon(root, options) };
}

async function runWrk(wrk: string, options: SaturationOptions): Promise<SaturationResult> {
  const threads = Math.max(1, Math.min(options.cores.length, options.connections, 4));
  const args = [`-t${threads}`, `-c${Math.max(options.connections, threads)}`, `-d${options.durationS}s`];
  if (options.uploadBytes > 0) {
    const script = join(options.directory, 'upload.lua');
    writeFileSync(script, `wrk.method = "POST"\nwrk.body = string.rep("x", ${options.uploadBytes})\n`);
    args.push('-s', script);
  }
  args.push(...headerArguments(options), `http://127.0.0.1:${options.port}${options.path}`);
  return parseWrk(await runToEnd({ command: wrk, args }, options.cores), options.expectStatus >= 400);
}

/** wrk and autocannon take them alike. */
function headerArguments(options: SaturationOptions): string[] {
  return Object.entries(options.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
}

/**
 * Reads wrk's report.
 *
 * @param expectsErrors the right answer is not 2xx or 3xx, which wrk counts as an error
 * @throws when it holds no figures
 */
export function parseWrk(text: string, expectsErrors: boolean): SaturationResult {
  const requests = Number(/(\d+) requests in /.exec(text)?.[1]);
  const requestsPerSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  if (!Number.isFinite(requests) || !Number.isFinite(requestsPerSecond)) {
    throw new Error(`wrk reported no figures: ${text.slice(0, 300)}`);
  }
  const bad = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const lost = socket.reduce((sum, count) => sum + Number(count), 0);
  return { requests, requestsPerSecond, errors: lost + (expectsErrors ? requests - bad : bad) };
}

async function runAutocannon(root: string, options: SaturationOptions): Promise<SaturationResult> {
  const args = [
    join(root, 'node_modules', 'autocannon', 'autocannon.js'),
    '--json',
    '--no-progress',
    '-c',
    String(options.connections),
    '-d',
    String(Math.max(1, Math.round(options.durationS))),
  ];
  if (options.uploadBytes > 0) {
    const body = join(options.directory, 'upload.bin');
    writeFileSync(body, Buffer.alloc(options.uploadBytes, 'x'));
    args.push('-m', 'POST', '-i', body);
  }
  args.push(...headerArguments(options), `http://127.0.0.1:${options.port}${options.path}`);
  const command: Command = { command: join(root, 'bin', 'node'), args };
  return parseAutocannon(await runToEnd(command, options.cores), options.expectStatus);
}

interface AutocannonReport {
  readonly duration: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly requests: { readonly total: number };
  readonly statusCodeStats?: Readonly<Record<string, { readonly count: number }>>;
}

/** Reads autocannon's JSON report. */
export function parseAutocannon(text: string, expectStatus: number): SaturationResult {
  const report = JSON.parse(text) as AutocannonReport;
  const right = report.statusCodeStats?.[String(expectStatus)]?.count ?? 0;
  const requests = report.requests.total;
  return {
    requests,
    requestsPerSecond: requests / report.duration,
    errors: report.errors + report.timeouts + (requests - right),
  };
}
