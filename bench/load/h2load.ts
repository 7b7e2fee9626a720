import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd } from '../run/children.ts';
import { GRPC_PREFIX_BYTES } from './grpc-message.ts';
import { targetBody } from './load-target.ts';
import type { SaturationOptions, SaturationResult } from './saturation.ts';

/** HTTP/2 with prior knowledge, by nghttp2's generator. */
export async function runH2load(h2load: string, options: SaturationOptions): Promise<SaturationResult> {
  const { target } = options;
  const threads = Math.max(1, Math.min(options.cores.length, target.connections, 4));
  const args = [`-t${threads}`, `-c${target.connections}`, `-m${target.streams}`, `-D${options.durationS}`];
  const body = targetBody(target);
  if (body !== undefined) {
    const file = join(options.directory, 'h2load-body.bin');
    writeFileSync(file, body);
    args.push('-d', file);
  }
  for (const [name, value] of Object.entries(target.headers)) args.push('-H', `${name}: ${value}`);
  args.push(`http://${target.host}:${target.port}${target.path}`);
  const answerBytes = target.grpc === undefined ? 0 : GRPC_PREFIX_BYTES + target.bodyBytes;
  const report = await runToEnd({ command: h2load, args }, options.cores);
  return parseH2load(report, target.expectStatus >= 400, answerBytes);
}

/**
 * Reads h2load's report.
 *
 * @param expectsErrors the right answer is not 2xx or 3xx
 * @param answerBytes body that every right answer has; what is missing counts as errors, since a gRPC call that fails is
 * a 200 without a message
 * @throws when it holds no figures
 */
export function parseH2load(text: string, expectsErrors: boolean, answerBytes: number): SaturationResult {
  const requestsPerSecond = Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(text)?.[1]);
  const counts = /^requests: .*$/m.exec(text)?.[0] ?? '';
  const count = (what: string): number => Number(new RegExp(`(\\d+) ${what}`).exec(counts)?.[1]);
  const [done, succeeded, failed] = [count('done'), count('succeeded'), count('failed')];
  if (!Number.isFinite(requestsPerSecond) || !Number.isFinite(done + succeeded + failed) || done === 0) {
    throw new Error(`h2load reported no answers: ${text.slice(-500)}`);
  }
  const statuses = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(text)?.slice(1).map(Number) ?? [];
  const [ok = 0, redirected = 0, refused = 0, broken = 0] = statuses;
  const wrongStatus = expectsErrors ? ok + redirected : refused + broken;
  const lost = Math.max(0, failed - refused - broken);
  const dataBytes = Number(/headers \(space savings [^)]*\), \S+ \((\d+)\) data/.exec(text)?.[1] ?? 0);
  const whole = answerBytes === 0 ? ok : Math.floor(dataBytes / answerBytes);
  return { requests: done, requestsPerSecond, errors: lost + wrongStatus + Math.max(0, succeeded - whole) };
}
