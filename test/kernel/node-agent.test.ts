import { closeSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentMaps } from '../../src/kernel/agent-maps.ts';
import { NodeAgent } from '../../src/kernel/node-agent.ts';
import { spliceProblem } from '../support/splice.ts';
import { eventually } from '../support/story.ts';

const problem = spliceProblem();
const uid = process.getuid?.() ?? 0;
let folder: string;
let path: string;
let requests: (string | undefined)[];
let agent: NodeAgent | undefined;

beforeEach((context) => {
  if (problem !== undefined) context.skip(`needs bpf(2): ${problem}`);
  folder = mkdtempSync(join(tmpdir(), 'outrigger-agent-'));
  path = join(folder, 'agent.sock');
  requests = [];
});

afterEach(async () => {
  await agent?.close();
  agent = undefined;
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

async function listen(allowedUids: readonly number[]): Promise<void> {
  agent = await NodeAgent.listen({ path, allowedUids, onRequest: (_, reason) => requests.push(reason) });
}

test('each request gets maps of its own, and the next ones are fetched ahead', async () => {
  await listen([uid]);
  const maps = await AgentMaps.connect(path);
  const first = maps.take();
  await eventually('two requests', () => requests.length === 2);
  let second: ReturnType<AgentMaps['take']>;
  await eventually('the second set', () => {
    second = maps.take();
    return second !== undefined;
  });
  for (const fd of Object.values(first ?? {})) expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe('anon_inode:bpf-map');
  expect(new Set([...Object.values(first ?? {}), ...Object.values(second ?? {})]).size).toBe(8);
  expect(requests.slice(0, 2)).toEqual([undefined, undefined]);
  for (const fd of [...Object.values(first ?? {}), ...Object.values(second ?? {})]) closeSync(fd as number);
});

test('a user that is not allowed gets the reason and no maps', async () => {
  await listen([uid + 1]);
  const reason = `user ${uid} is not among those that the node agent serves`;
  await expect(AgentMaps.connect(path)).rejects.toThrow(`the node agent gives no maps: ${reason}`);
  await expect.poll(() => requests).toEqual([reason]);
});

test('one that speaks another version, or nonsense, is refused, and the agent serves on', async () => {
  await listen([uid]);
  for (const payload of ['{"version":99}', 'nonsense', '{"version":"1"}']) {
    const socket = net.connect(path);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(payload.length, 0);
    socket.end(Buffer.concat([head, Buffer.from(payload)]));
    socket.resume();
    await new Promise((closed) => socket.once('close', closed));
  }
  await expect.poll(() => requests.length).toBe(3);
  expect(requests.every((reason) => reason?.startsWith('the node agent speaks version 1'))).toBe(true);
  await AgentMaps.connect(path);
});

test('an agent that is not there is named', async () => {
  await expect(AgentMaps.connect(join(folder, 'nobody'))).rejects.toThrow('the node agent cannot be reached: ');
});
