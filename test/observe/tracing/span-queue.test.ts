import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StatsStore } from '../../../src/observe/stats.ts';
import { SPAN_KIND, Span } from '../../../src/observe/tracing/span.ts';
import { type SendOutcome, SpanQueue } from '../../../src/observe/tracing/span-queue.ts';

function span(name: string): Span {
  return new Span({
    traceId: '1'.repeat(32),
    spanId: '2'.repeat(16),
    parentId: '',
    traceState: '',
    kind: SPAN_KIND.SERVER,
    isParentRemote: false,
    startEpochMs: 1,
    name,
  });
}

/** A queue whose collector answers when the test says so. */
function setUp(maxSpans = 2000) {
  const stats = new StatsStore();
  const batches: string[][] = [];
  const answers: ((outcome: SendOutcome) => void)[] = [];
  const queue = new SpanQueue({
    maxSpans,
    send: (spans) => {
      batches.push(spans.map(({ name }) => name));
      return new Promise((resolve) => answers.push(resolve));
    },
    stats: {
      spansSent: stats.counter('sent'),
      spansDropped: stats.counter('dropped'),
      timerFlushed: stats.counter('timer'),
    },
  });
  const add = (count: number): void => {
    for (let i = 0; i < count; i++) queue.add(span(`s${i}`));
  };
  const answer = async (outcome: SendOutcome): Promise<void> => {
    answers.shift()?.(outcome);
    await vi.advanceTimersByTimeAsync(0);
  };
  const stat = (name: string): number => stats.counters.get(name)?.value ?? 0;
  return { queue, batches, add, answer, stat };
}

describe('spans on their way to a collector', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('leave together after a second', async () => {
    const { batches, add, answer, stat } = setUp();
    add(3);
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(batches).toEqual([['s0', 's1', 's2']]);
    expect(stat('timer')).toBe(1);
    await answer('sent');
    expect(stat('sent')).toBe(3);
    await vi.advanceTimersByTimeAsync(5000);
    expect(batches).toHaveLength(1);
  });

  test('leave at once when a batch is full, one batch at a time', async () => {
    const { batches, add, answer, stat } = setUp();
    add(1100);
    expect(batches.map((batch) => batch.length)).toEqual([512]);
    await answer('sent');
    expect(batches.map((batch) => batch.length)).toEqual([512, 512]);
    await answer('sent');
    await vi.advanceTimersByTimeAsync(1000);
    expect(batches.map((batch) => batch.length)).toEqual([512, 512, 76]);
    await answer('sent');
    expect(stat('sent')).toBe(1100);
  });

  test('wait for the next try when the collector is down, in their order', async () => {
    const { batches, add, answer, stat } = setUp();
    add(2);
    await vi.advanceTimersByTimeAsync(1000);
    await answer('failed');
    add(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(batches[1]).toEqual(['s0', 's1', 's0']);
    await answer('sent');
    expect(stat('sent')).toBe(3);
    expect(stat('dropped')).toBe(0);
  });

  test('are dropped and counted when the queue is full: a collector that is down costs no memory', async () => {
    const { batches, add, answer, stat } = setUp(600);
    add(700);
    expect(stat('dropped')).toBe(100);
    await answer('failed');
    add(1000);
    expect(stat('dropped')).toBe(1100);
    // Full batches do not hammer at a collector that is down.
    expect(batches).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(batches).toHaveLength(2);
    await answer('sent');
    expect(stat('sent')).toBe(512);
  });

  test('are not sent again when the collector refuses them', async () => {
    const { batches, add, answer, stat } = setUp();
    add(2);
    await vi.advanceTimersByTimeAsync(1000);
    await answer('refused');
    await vi.advanceTimersByTimeAsync(3000);
    expect(batches).toHaveLength(1);
    expect(stat('dropped')).toBe(2);
  });

  test('leave at the end, all of them', async () => {
    const { queue, batches, add, answer, stat } = setUp();
    add(600);
    const closed = queue.close(1000);
    await answer('sent');
    await answer('sent');
    await closed;
    expect(batches.map((batch) => batch.length)).toEqual([512, 88]);
    expect(stat('sent')).toBe(600);
  });

  test('do not hold up the end', async () => {
    const { queue, add, stat } = setUp();
    add(3);
    const closed = queue.close(1000);
    await vi.advanceTimersByTimeAsync(1000);
    await closed;
    expect(stat('sent')).toBe(0);
  });
});
