import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Http2Stream } from '../../../src/http/http2/http2-stream.ts';
import { SendTurns } from '../../../src/http/http2/send-turns.ts';

/** A stream that has so many frames to send, as far as its window allows. */
class Waiting {
  readonly name: string;
  scheduled = false;
  open = true;
  sendWindow = Number.POSITIVE_INFINITY;
  frames: number;
  onSent: () => void = () => {};
  private readonly sent: string[];

  constructor(name: string, frames: number, sent: string[]) {
    this.name = name;
    this.frames = frames;
    this.sent = sent;
  }

  get stream(): Http2Stream {
    return this as unknown as Http2Stream;
  }

  pump(): boolean {
    if (this.frames === 0 || this.sendWindow <= 0) return false;
    this.frames--;
    this.sendWindow--;
    this.sent.push(this.name);
    this.onSent();
    return this.frames > 0;
  }
}

function setUp(frames: Record<string, number>) {
  const turns = new SendTurns();
  const sent: string[] = [];
  const streams = Object.entries(frames).map(([name, count]) => new Waiting(name, count, sent));
  for (const { stream } of streams) turns.add(stream);
  const run = (): string => {
    while (!turns.isEmpty) turns.next();
    return sent.join('');
  };
  return { turns, sent, streams, run };
}

test('each stream sends a frame in its turn, so a short one is not kept waiting by a long one', () => {
  expect(setUp({ a: 5, b: 1, c: 3 }).run()).toBe('abcacacaa');
});

test('a stream has one place, however often it is added', () => {
  const { turns, streams, run } = setUp({ a: 2, b: 2 });
  for (let i = 0; i < 5; i++) for (const { stream } of streams) turns.add(stream);
  expect(run()).toBe('abab');
});

test('a stream whose window is closed has no turn, and comes back when it is opened', () => {
  const { turns, streams, run } = setUp({ a: 3, b: 3 });
  const [a] = streams as [Waiting];
  a.sendWindow = 1;
  expect(run()).toBe('abbb');
  turns.add(a.stream);
  expect(turns.isEmpty).toBe(true);
  a.sendWindow = 5;
  turns.add(a.stream);
  expect(run()).toBe('abbbaa');
});

test('a stream that is over loses its turn, and its object may have one again', () => {
  const { turns, streams, run } = setUp({ a: 3, b: 1 });
  const [a] = streams as [Waiting];
  a.open = false;
  expect(run()).toBe('b');
  a.open = true;
  turns.add(a.stream);
  expect(run()).toBe('baaa');
});

test('a stream that gets more to send while it sends its last frame is not forgotten', () => {
  const { turns, streams, run } = setUp({ a: 1 });
  const [a] = streams as [Waiting];
  a.onSent = () => {
    if (a.frames > 0) return;
    a.onSent = () => {};
    a.frames = 2;
    turns.add(a.stream);
  };
  expect(run()).toBe('aaa');
});

test('whatever waits, all of it is sent, and nobody is more than a frame ahead of another who waits', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 12 }), (counts) => {
      const names = counts.map((_, i) => String.fromCharCode(97 + i));
      const { sent, run } = setUp(Object.fromEntries(counts.map((count, i) => [names[i], count])));
      run();
      const done = counts.map(() => 0);
      for (const name of sent) {
        const i = names.indexOf(name);
        done[i] = (done[i] as number) + 1;
        for (const [j, other] of done.entries())
          if (other < (counts[j] as number)) expect((done[i] as number) - other).toBeLessThanOrEqual(1);
      }
      expect(done).toEqual(counts);
    }),
    { numRuns: 30 },
  );
});
