/**
 * Cost of one access-log line: `bin/node bench/micro/access-log.ts [rounds]`. Formats fresh requests (headers still
 * spans in their raw head, as the codec leaves them) with Envoy's default format and a typical JSON format, and hands
 * the lines to a buffered sink. Medians of the rounds, in microseconds per line.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flushAll, openSink } from '../../src/observe/access-log/sink.ts';
import { compileFormat, compileJsonFormat, DEFAULT_FORMAT } from '../../src/observe/format/index.ts';
import type { StreamInfo } from '../../src/observe/stream-info.ts';
import { fakeStream } from '../../test/observe/fake-stream.ts';

/** Few enough that the sink's bound holds all lines of a round, as the loop does not yield to its writes. */
const LINES = 18_000;
const rounds = Number(process.argv[2] ?? 41);

const HEADERS: [name: string, value: string][] = [
  ['host', 'shop.test:8080'],
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'],
  ['accept', '*/*'],
  ['x-forwarded-for', '10.1.2.3'],
  ['x-request-id', 'c7b17295-f882-4726-b51a-e269f339881b'],
  ['x-forwarded-proto', 'http'],
];
const RAW = HEADERS.map(([name, value]) => `${name}: ${value}\r\n`).join('');

/** Puts the request's headers back to spans, so that each line pays for reading them. */
function rewind(info: StreamInfo): void {
  const request = info.request;
  if (request === undefined) return;
  request.reset(RAW);
  let at = 0;
  for (const [name, value] of HEADERS) {
    const valueStart = at + name.length + 2;
    const lineEnd = valueStart + value.length + 2;
    request.pushSpan(name, at, valueStart, lineEnd - 2, lineEnd);
    at = lineEnd;
  }
}

async function measure(
  name: string,
  format: (info: StreamInfo) => string,
  write: (line: string) => void,
): Promise<void> {
  const info = fakeStream();
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let start = process.cpuUsage();
    for (let i = 0; i < LINES; i++) rewind(info);
    const idleUs = used(start);
    start = process.cpuUsage();
    for (let i = 0; i < LINES; i++) {
      rewind(info);
      write(format(info));
    }
    costs.push((used(start) - idleUs) / LINES);
    await flushAll();
  }
  costs.sort((a, b) => a - b);
  console.log(`${name.padEnd(36)} ${(costs[rounds >> 1] as number).toFixed(3)} µs/line`);
}

function used(start: NodeJS.CpuUsage): number {
  const usage = process.cpuUsage(start);
  return usage.user + usage.system;
}

const folder = mkdtempSync(join(tmpdir(), 'access-log-'));
const sink = openSink(join(folder, 'access.log'), { log: console });
const text = compileFormat(DEFAULT_FORMAT);
const json = compileJsonFormat({
  time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(:PATH)%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  sent: '%BYTES_SENT%',
  ms: '%DURATION%',
  agent: '%REQ(USER-AGENT)%',
  id: '%REQ(X-REQUEST-ID)%',
  upstream: '%UPSTREAM_HOST%',
});
let length = 0;
const count = (line: string): void => {
  length += line.length;
};
await measure('default format', text, count);
await measure('JSON, 10 keys', json, count);
await measure('default format into the sink', text, (line) => sink.write(line));
console.log(`${length} characters formatted, ${sink.droppedLines} lines dropped by the sink's bound`);
await sink.close();
rmSync(folder, { recursive: true });
