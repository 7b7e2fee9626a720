import { describe, expect, it } from 'vitest';
import { runMicro } from '../../../bench/micro/micro.ts';

describe('micro-benchmarks', () => {
  it('tell work from ten times the work', () => {
    const work = (count: number) => () => {
      let x = 1;
      for (let i = 0; i < count; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
      return x;
    };
    const [one, ten] = runMicro(
      [
        { name: 'one', run: work(1000) },
        { name: 'ten', run: work(10_000) },
      ],
      2,
      15,
    );
    const ratio = (ten?.nanos.median ?? 0) / (one?.nanos.median ?? 1);
    expect(ratio).toBeGreaterThan(5);
    expect(ratio).toBeLessThan(20);
  });
});
