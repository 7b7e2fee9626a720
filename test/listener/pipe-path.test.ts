import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net, { type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PipePath } from '../../src/listener/pipe-path.ts';

let folder: string;
let path: string;
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-pipe-'));
  path = join(folder, 'app.sock');
});

afterEach(async () => {
  for (const server of servers.splice(0)) await close(server);
  rmSync(folder, { recursive: true, force: true });
});

async function serve(at: string, answer: string): Promise<Server> {
  const server = net.createServer((socket) => socket.end(answer));
  await new Promise<void>((done) => server.listen(at, done));
  servers.push(server);
  return server;
}

function close(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}

function answerAt(at: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(at);
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}

test('a socket appears at its path with its mode, and its end leaves nothing', async () => {
  const pipe = new PipePath(path);
  const server = await serve(pipe.staging, 'one');
  expect(existsSync(path)).toBe(false);
  pipe.publish(0o620);
  expect(lstatSync(path).mode & 0o777).toBe(0o620);
  expect(await answerAt(path)).toBe('one');
  pipe.remove();
  await close(server);
  expect(readdirSync(folder)).toEqual([]);
});

test('a new socket takes the place of the old one, and the end of the old one leaves it there', async () => {
  const first = new PipePath(path);
  const old = await serve(first.staging, 'old');
  first.publish(0);
  const second = new PipePath(path);
  await serve(second.staging, 'new');
  expect(await answerAt(path)).toBe('old');
  second.publish(0);
  expect(await answerAt(path)).toBe('new');
  await close(old);
  first.remove();
  expect(await answerAt(path)).toBe('new');
});

test('a socket that was taken over is removed by who has it now', async () => {
  const first = new PipePath(path);
  await serve(first.staging, 'old');
  first.publish(0);
  const second = new PipePath(path);
  second.adopt();
  second.remove();
  expect(existsSync(path)).toBe(false);
});

test('what is no socket keeps its path', () => {
  writeFileSync(path, 'precious');
  expect(() => new PipePath(path)).toThrow('no socket');
  expect(existsSync(path)).toBe(true);
});

test('a path without room for a longer one beside it is bound directly', async () => {
  const deep = join(folder, 'x'.repeat(102 - folder.length));
  mkdirSync(deep);
  const long = join(deep, 's');
  const pipe = new PipePath(long);
  expect(pipe.staging).toBe(long);
  await serve(pipe.staging, 'long');
  pipe.publish(0);
  expect(await answerAt(long)).toBe('long');
});
