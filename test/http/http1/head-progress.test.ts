import { expect, test } from 'vitest';
import { HeadProgress } from '../../../src/http/http1/head-progress.ts';

/** Feeds the text byte by byte; the lengths at which it said that parsing is worth it. */
function worthwhile(text: string, maxBytes = 60 * 1024): number[] {
  const progress = new HeadProgress(maxBytes);
  const bytes = Buffer.from(text, 'latin1');
  const at: number[] = [];
  for (let end = 1; end <= bytes.length; end++) if (progress.ready(bytes, 0, end)) at.push(end);
  return at;
}

test('the empty line is seen at once, with and without CR', () => {
  for (const text of [
    'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
    'GET / HTTP/1.1\nhost: a\n\n',
    'GET / HTTP/1.1\r\nhost: a\r\n\n',
  ])
    expect(worthwhile(text).at(-1)).toBe(text.length);
});

test('the first line is seen at once, so that a wrong one need not wait', () => {
  expect(worthwhile('GET /\r\n').at(-1)).toBe(7);
});

test('an empty trailer section is seen at once', () => {
  expect(worthwhile('\r\n').at(-1)).toBe(2);
});

test('the work on a head that comes byte by byte is linear', () => {
  const at = worthwhile(`GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(9000)}`);
  const parsed = at.reduce((sum, length) => sum + length, 0);
  expect(parsed).toBeLessThan(9000 * 6 * 3);
  expect(at.length).toBeLessThan(25);
});

test('too large is seen at the first byte too many', () => {
  expect(worthwhile('a'.repeat(1001), 1000).at(-1)).toBe(1001);
});

test('a new head begins anew', () => {
  const progress = new HeadProgress(1000);
  const bytes = Buffer.from('GET / HTTP/1.1\r\nhost');
  expect(progress.ready(bytes, 0, bytes.length)).toBe(true);
  expect(progress.ready(bytes, 0, bytes.length)).toBe(false);
  progress.begin();
  expect(progress.ready(bytes, 0, 3)).toBe(true);
});
