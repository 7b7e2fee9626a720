import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { RateLimitRequestWriter, SHOULD_RATE_LIMIT } from '../../src/http/grpc/rate-limit-request.ts';
import { readRateLimitResponse } from '../../src/http/grpc/rate-limit-response.ts';
import { RunningCli, runCli } from './run-cli.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-ratelimit-'));
  file = join(folder, 'limits.yaml');
  write(3);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(requests: number | string): void {
  const limit = `rate_limit: { unit: hour, requests_per_unit: ${requests} }`;
  writeFileSync(`${file}.new`, `domain: shop\ndescriptors:\n- key: client\n  ${limit}\n`);
  renameSync(`${file}.new`, file);
}

async function start(...args: string[]) {
  const cli = new RunningCli(['ratelimit', '--config', file, '--listen', '127.0.0.1:0', ...args]);
  onTestFinished(() => cli.kill());
  const [, port] = await cli.output(/ratelimit listening on 127\.0\.0\.1:(\d+)/);
  return { cli, client: new Client(Number(port)) };
}

/** A client of grpc-js. */
class Client {
  private readonly client: grpc.Client;

  constructor(port: number) {
    this.client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    onTestFinished(() => this.client.close());
  }

  call(path: string, message: Buffer): Promise<Buffer> {
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(path, same, same, message, (error, answer) =>
        error === null ? resolve(answer as Buffer) : reject(error),
      );
    });
  }

  /** What is left of the limit; −1 when it is exceeded. */
  async ask(domain = 'shop'): Promise<number> {
    const writer = new RateLimitRequestWriter();
    writer.begin(domain);
    writer.openDescriptor();
    writer.entry('client', 'a');
    writer.closeDescriptor(undefined, undefined);
    const { overallCode, statuses } = readRateLimitResponse(await this.call(SHOULD_RATE_LIMIT, writer.finish(0)), true);
    return overallCode === 2 ? -1 : (statuses[0]?.remaining ?? -2);
  }
}

test('serves the protocol and the health service to a client of grpc-js', async () => {
  const { client } = await start();
  expect([await client.ask(), await client.ask(), await client.ask(), await client.ask()]).toEqual([2, 1, 0, -1]);
  expect([...(await client.call('/grpc.health.v1.Health/Check', Buffer.alloc(0)))]).toEqual([0x08, 1]);
  await expect(client.ask('')).rejects.toMatchObject({ code: 3, details: 'rate limit domain must not be empty' });
  await expect(client.call(SHOULD_RATE_LIMIT, Buffer.from([0xff]))).rejects.toMatchObject({ code: 3 });
  await expect(client.call('/a.B/C', Buffer.alloc(0))).rejects.toMatchObject({ code: 12 });
});

test('a change of the file takes effect and keeps what was counted; a file with errors changes nothing', async () => {
  const { cli, client } = await start();
  expect(await client.ask()).toBe(2);
  write(10);
  await cli.output(/limits loaded[\s\S]*limits loaded/);
  expect(await client.ask()).toBe(8);
  write('many');
  await cli.output(/configuration refused, the old one goes on serving/);
  await cli.output(/limits\.yaml:4:\d+ {2}descriptors\[0\]\.rate_limit\.requests_per_unit/);
  expect(await client.ask()).toBe(7);
});

test('what else happens in the folder of the limits is nothing to tell of', async () => {
  const { cli, client } = await start();
  writeFileSync(join(folder, 'other.txt'), 'changed');
  write(10);
  await cli.output(/limits loaded[\s\S]*limits loaded/);
  writeFileSync(join(folder, 'other.txt'), 'changed again');
  cli.child.kill('SIGHUP');
  write(20);
  await cli.output(/(limits loaded[\s\S]*){3}/);
  expect(await client.ask()).toBe(19);
  expect((cli.stdout + cli.stderr).match(/limits loaded/g)?.length).toBe(3);
});

test('SIGTERM drains, and ends with 0', async () => {
  const { cli, client } = await start('--drain-time', '5');
  await client.ask();
  cli.child.kill('SIGTERM');
  expect(await cli.ended()).toMatchObject({ code: 0, signal: null });
});

test('the admin server counts by limit', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  const { client } = await start('--admin', `127.0.0.1:${port}`);
  await client.ask();
  const stats = await (await fetch(`http://127.0.0.1:${port}/stats?filter=ratelimit_service`)).text();
  expect(stats).toContain('ratelimit_service.rate_limit.shop.client.within_limit: 1');
});

test('limits that cannot be read, and options that make no sense, are told with exit code 2', async () => {
  write('many');
  const bad = await runCli(['ratelimit', '--config', file]);
  expect([bad.code, bad.stdout + bad.stderr]).toEqual([
    2,
    expect.stringMatching(/limits\.yaml:4:\d+ .*requests_per_unit/),
  ]);
  for (const [args, text] of [
    [[], 'no limits to keep'],
    [['--config', file, '--redis', '127.0.0.1:6379'], '--redis'],
    [['--config', file, '--redis-timeout', 'x'], '--redis-timeout'],
    [['--config', file, '--on-redis-failure', 'panic'], '--on-redis-failure'],
    [['--config', file, '--listen', 'nowhere'], '--listen'],
  ] as const) {
    const { code, stderr } = await runCli(['ratelimit', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
  }
});

test('the help teaches with a file of limits that works', async () => {
  const { stdout } = await runCli(['ratelimit', '--help']);
  const example = stdout.slice(stdout.indexOf('  domain: shop'), stdout.indexOf('Start it,'));
  writeFileSync(file, example);
  const { client } = await start();
  expect(await client.ask()).toBe(599);
});
