import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { formatSeconds, Progress } from '../../../bench/run/progress.ts';

function terminal(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120 }) as unknown as NodeJS.WriteStream;
  return { stream, text: () => String((stream as unknown as PassThrough).read() ?? '') };
}

describe('progress', () => {
  it('shows share, time left and what is going on, on a terminal', () => {
    const { stream, text } = terminal(true);
    const progress = new Progress(100, stream);
    progress.done(25);
    progress.show('http  envoy');
    expect(text()).toMatch(/█{6}░{18} 25 % {2}\d+:\d\d left {2}http {2}envoy$/);
  });

  it('writes nothing into a log', () => {
    const { stream, text } = terminal(false);
    const progress = new Progress(100, stream);
    progress.show('http');
    progress.end();
    expect(text()).toBe('');
  });

  it('counts time in minutes and seconds', () => {
    expect([4, 65, 600].map(formatSeconds)).toEqual(['0:04', '1:05', '10:00']);
  });
});
