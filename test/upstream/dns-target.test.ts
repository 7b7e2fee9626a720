import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DnsAnswer } from '../../src/upstream/dns.ts';
import { DnsTarget, type DnsTargetOptions } from '../../src/upstream/dns-target.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setup(options: Partial<DnsTargetOptions> = {}) {
  const state = { answer: { addresses: ['10.0.0.1'], ttlMs: undefined } as DnsAnswer | Error, usable: true };
  const attemptsMs: number[] = [];
  const answers: (readonly string[])[] = [];
  const failures: unknown[] = [];
  const target = new DnsTarget({
    name: 'web.test',
    family: 'V4_ONLY',
    resolver: {
      resolve: async () => {
        if (state.answer instanceof Error) throw state.answer;
        return state.answer;
      },
      cancel: () => {},
    },
    refreshRateMs: 5000,
    jitterMs: 0,
    respectTtl: false,
    failureBackOff: undefined,
    random: { next: () => 0 },
    onAttempt: () => attemptsMs.push(performance.now() - startMs),
    onAnswer: (addresses) => {
      answers.push(addresses);
      return state.usable;
    },
    onFailure: (error) => failures.push(error),
    ...options,
  });
  const startMs = performance.now();
  return { state, target, attemptsMs, answers, failures };
}

describe('a name that is followed', () => {
  it('is resolved at once, then at the refresh rate', async () => {
    const { target, attemptsMs, answers } = setup();
    await target.start();
    expect(answers).toEqual([['10.0.0.1']]);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(attemptsMs).toEqual([0, 5000, 10_000, 15_000]);
  });

  it('is resolved again when its TTL is over where that is respected', async () => {
    const { state, target, attemptsMs } = setup({ respectTtl: true });
    state.answer = { addresses: ['10.0.0.1'], ttlMs: 2000 };
    await target.start();
    await vi.advanceTimersByTimeAsync(2000);
    state.answer = { addresses: ['10.0.0.1'], ttlMs: 0 };
    await vi.advanceTimersByTimeAsync(2000 + 5000);
    expect(attemptsMs).toEqual([0, 2000, 4000, 9000]);
  });

  it('does not ask without pause for a TTL of more than 24 days', async () => {
    const { state, target, attemptsMs } = setup({ respectTtl: true });
    state.answer = { addresses: ['10.0.0.1'], ttlMs: 2 ** 32 * 1000 };
    await target.start();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(attemptsMs).toEqual([0]);
  });

  it('spreads its refreshes by the jitter', async () => {
    const { target, attemptsMs } = setup({ jitterMs: 1000, random: { next: () => 2 ** 30 } });
    await target.start();
    await vi.advanceTimersByTimeAsync(5500);
    expect(attemptsMs).toEqual([0, 5500]);
  });

  it('waits the refresh rate after a failure unless told otherwise', async () => {
    const { state, target, attemptsMs, answers, failures } = setup();
    state.answer = new Error('no server');
    await target.start();
    await vi.advanceTimersByTimeAsync(5000);
    expect(attemptsMs).toEqual([0, 5000]);
    expect(answers).toEqual([]);
    expect(failures).toHaveLength(2);
  });

  it('waits longer after each failure, up to a limit, and starts over after a success', async () => {
    const { state, target, attemptsMs } = setup({
      failureBackOff: { baseMs: 100, maximumMs: 500 },
      random: { next: () => 2 ** 31 - 1 },
    });
    state.answer = new Error('no server');
    await target.start();
    await vi.advanceTimersByTimeAsync(100 + 200 + 400 + 500);
    expect(attemptsMs.map(Math.round)).toEqual([0, 100, 300, 700, 1200]);
    state.answer = { addresses: ['10.0.0.1'], ttlMs: undefined };
    await vi.advanceTimersByTimeAsync(500);
    state.answer = new Error('no server');
    await vi.advanceTimersByTimeAsync(5000 + 100);
    expect(attemptsMs.map(Math.round).slice(-3)).toEqual([1700, 6700, 6800]);
  });

  it('waits at least half of the back-off', async () => {
    const { state, target, attemptsMs } = setup({ failureBackOff: { baseMs: 100, maximumMs: 100 } });
    state.answer = new Error('no server');
    await target.start();
    await vi.advanceTimersByTimeAsync(200);
    expect(attemptsMs).toEqual([0, 50, 100, 150, 200]);
  });

  it('backs off too when the answer is of no use', async () => {
    const { state, target, attemptsMs } = setup({ failureBackOff: { baseMs: 100, maximumMs: 100 } });
    state.usable = false;
    await target.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(attemptsMs).toEqual([0, 50, 100]);
  });

  it('is left alone once stopped, also while it is being resolved', async () => {
    const { target, attemptsMs, answers } = setup();
    const started = target.start();
    target.stop();
    await started;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(attemptsMs).toEqual([0]);
    expect(answers).toEqual([]);
  });
});
