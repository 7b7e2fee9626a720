import { afterEach, expect, test } from 'vitest';
import type { FrameOutput } from '../../../src/http/http2/frame-output.ts';
import { Keepalive } from '../../../src/http/http2/keepalive.ts';
import type { Http2Options } from '../../../src/http/http2/options.ts';
import { eventually, sleep } from '../../support/story.ts';

const started: Keepalive[] = [];
afterEach(() => {
  for (const keepalive of started.splice(0)) keepalive.stop();
});

/** A keepalive, the PINGs that it sent, and whether it found the peer dead. */
function keepalive(options: Partial<Http2Options>) {
  const state = { pings: 0, dead: 0 };
  const output = {
    ping: (ack: boolean) => {
      if (!ack) state.pings++;
    },
  } as unknown as FrameOutput;
  const all = { keepaliveIntervalMs: 0, keepaliveTimeoutMs: 0, keepaliveJitter: 0, keepaliveIdleMs: 0, ...options };
  const it = new Keepalive(all as Http2Options, output, () => state.dead++);
  started.push(it);
  it.start();
  return { it, state };
}

const LONG = 60_000;

test('nothing is sent unless it is configured', async () => {
  const { it, state } = keepalive({});
  it.onActivity();
  it.beforeStream();
  await sleep(30);
  expect(state).toEqual({ pings: 0, dead: 0 });
});

test('a peer that answers is asked again and again', async () => {
  const { it, state } = keepalive({ keepaliveIntervalMs: 1, keepaliveTimeoutMs: LONG });
  for (let n = 1; n <= 5; n++) {
    await eventually('a PING', () => state.pings === n);
    await sleep(5);
    expect(state.pings).toBe(n);
    it.onAnswer();
  }
  expect(state.dead).toBe(0);
});

test('a peer that does not answer in time is dead, once', async () => {
  const { state } = keepalive({ keepaliveIntervalMs: 1, keepaliveTimeoutMs: 1 });
  await eventually('it is found dead', () => state.dead > 0);
  expect(state).toEqual({ pings: 1, dead: 1 });
});

test('any frame is an answer', async () => {
  const { it, state } = keepalive({ keepaliveIntervalMs: 1, keepaliveTimeoutMs: 500 });
  await eventually('a PING', () => state.pings === 1);
  it.onActivity();
  await eventually('the next PING', () => state.pings === 2);
  expect(state.dead).toBe(0);
});

test('a connection that was quiet for long is asked before it gets a stream, and a busy one is not', async () => {
  const { it, state } = keepalive({ keepaliveIdleMs: 50, keepaliveTimeoutMs: LONG });
  it.beforeStream();
  expect(state.pings).toBe(0);
  await sleep(80);
  it.beforeStream();
  it.beforeStream();
  expect(state.pings).toBe(1);
  it.onAnswer();
  it.onActivity();
  it.beforeStream();
  expect(state.pings).toBe(1);
});

test('a connection that is over is asked no more', async () => {
  const { it, state } = keepalive({ keepaliveIntervalMs: 1, keepaliveTimeoutMs: 1 });
  it.stop();
  await sleep(30);
  expect(state).toEqual({ pings: 0, dead: 0 });
});
