import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, runToEnd } from '../run/children.ts';
import { findProgram } from '../run/root.ts';
import type { Scenario } from '../scenario.ts';
import { runH2load } from './h2load.ts';
import { type LoadTarget, targetBody } from './load-target.ts';

export interface SaturationOptions {
  readonly target: LoadTarget;
  readonly durationS: number;
  readonly cores: readonly number[];
  /** For the generator's own files. */
  readonly directory: string;
}

export interface SaturationResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Median time to an answer in the closed loop, µs; where the generator tells it. */
  readonly p50Micros?: number;
  /** Likewise, where the generator tells them. */
  readonly p90Micros?: number;
  readonly p99Micros?: number;
  /** Wrong status, lost connections, timeouts. */
  readonly errors: number;
}

/** A closed-loop load: every connection, or stream, sends its next request when the last was answered. */
export interface SaturationLoad {
  readonly name: 'wrk' | 'autocannon' | 'h2load' | 'closed-loop';
  run(options: SaturationOptions): Promise<SaturationResult>;
}

type LoadedScenario = Pick<Scenario, 'downstream' | 'grpc' | 'tls' | 'newConnections' | 'pipes' | 'ownLoad'>;

/**
 * Which generator loads a scenario: wrk, for HTTP/2 h2load, where they are installed; else autocannon, which comes with
 * the development dependencies, for HTTP/2 one of our own. That one knows gRPC streams and client certificates too, which
 * nobody else does.
 */
export function saturationLoad(root: string, scenario: LoadedScenario): SaturationLoad {
  const ownLoad = (): SaturationLoad => ({ name: 'closed-loop', run: (options) => runOwnLoad(root, options) });
  // None of the others connects to a Unix socket, shows a certificate, or makes a handshake for each request.
  if (scenario.pipes?.downstream !== undefined || scenario.ownLoad === true) return ownLoad();
  if (scenario.tls?.downstream === 'mtls' || scenario.newConnections === true) return ownLoad();
  if (scenario.downstream === 'http2') {
    const h2load = scenario.grpc === 'stream' ? undefined : findProgram('h2load');
    if (h2load !== undefined) return { name: 'h2load', run: (options) => runH2load(h2load, options) };
    return ownLoad();
  }
  const wrk = findProgram('wrk');
  if (wrk !== undefined) return { name: 'wrk', run: (options) => runWrk(wrk, options) };
  return { name: 'autocannon', run: (options) => runAutocannon(root, options) };
}

async function runOwnLoad(root: string, options: SaturationOptions): Promise<SaturationResult> {
  const argument = JSON.stringify([options.target, options.durationS * 1000]);
  const args = [join(root, 'bench', 'load', 'closed-loop.ts'), argument];
  return JSON.parse(await runToEnd({ command: join(root, 'bin', 'node'), args }, options.cores)) as SaturationResult;
}

async function runWrk(wrk: string, { target, ...options }: SaturationOptions): Promise<SaturationResult> {
  const threads = Math.max(1, Math.min(options.cores.length, target.connections, 4));
  const args = [`-t${threads}`, `-c${Math.max(target.connections, threads)}`, `-d${options.durationS}s`, '--latency'];
  if (target.bodyBytes > 0) {
    const script = join(options.directory, 'upload.lua');
    writeFileSync(script, `wrk.method = "POST"\nwrk.body = string.rep("x", ${target.bodyBytes})\n`);
    args.push('-s', script);
  }
  args.push(...urlArguments(target));
  return parseWrk(await runToEnd({ command: wrk, args }, options.cores), target.expectStatus >= 400);
}

/** wrk and autocannon take headers alike. */
function urlArguments(target: LoadTarget): string[] {
  const headers = Object.entries(target.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const scheme = target.tls === undefined ? 'http' : 'https';
  return [...headers, `${scheme}://${target.host}:${target.port}${target.path}`];
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
  const [p50Micros, p90Micros, p99Micros] = [50, 90, 99].map((percentile) => wrkLatency(text, percentile));
  return {
    requests,
    requestsPerSecond,
    ...(p50Micros === undefined ? {} : { p50Micros }),
    ...(p90Micros === undefined ? {} : { p90Micros }),
    ...(p99Micros === undefined ? {} : { p99Micros }),
    errors: lost + (expectsErrors ? requests - bad : bad),
  };
}

const MICROS: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1_000_000 };

function wrkLatency(text: string, percentile: number): number | undefined {
  const line = new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s)\\s*$`, 'm');
  const [, value, unit] = line.exec(text) ?? [];
  return value === undefined || unit === undefined ? undefined : Number(value) * (MICROS[unit] as number);
}

async function runAutocannon(root: string, { target, ...options }: SaturationOptions): Promise<SaturationResult> {
  const args = [
    join(root, 'node_modules', 'autocannon', 'autocannon.js'),
    '--json',
    '--no-progress',
    '-c',
    String(target.connections),
    '-d',
    String(Math.max(1, Math.round(options.durationS))),
  ];
  const body = targetBody(target);
  if (body !== undefined) {
    const file = join(options.directory, 'upload.bin');
    writeFileSync(file, body);
    args.push('-m', 'POST', '-i', file);
  }
  args.push(...urlArguments(target));
  const command: Command = { command: join(root, 'bin', 'node'), args };
  return parseAutocannon(await runToEnd(command, options.cores), target.expectStatus);
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
