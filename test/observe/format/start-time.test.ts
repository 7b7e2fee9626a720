import { describe, expect, it } from 'vitest';
import { compileTime, formatIso } from '../../../src/observe/format/start-time.ts';

const MOMENT = Date.UTC(2026, 10, 21, 21, 14, 54, 340) + 0.888;

describe('compileTime', () => {
  // The texts are what Envoy 1.40 printed for this moment.
  it.each([
    ['', '2026-11-21T21:14:54.340Z'],
    ['%s.%3f', '1795295694.340'],
    ['%Y/%m/%dT%H:%M:%S%z', '2026/11/21T21:14:54+0000'],
    ['%1f|%6f|%f', /^3\|34088[78]\|34088\d{4}$/],
    ['%%|%j|%a|%b|%e|%y|%I|%p|%Z', '%|325|Sat|Nov|21|26|09|PM|UTC'],
    ['%D|%T|%F|%R|%u|%U', '11/21/26|21:14:54|2026-11-21|21:14|6|46'],
  ])('formats %j', (format, expected) => {
    const text = compileTime(format)(MOMENT);
    if (typeof expected === 'string') expect(text).toBe(expected);
    else expect(text).toMatch(expected);
  });

  it('follows the clock from second to second, and back', () => {
    const time = compileTime('%S');
    expect([0, 1000, 1999, 500].map((ms) => time(ms))).toEqual(['00', '01', '01', '00']);
  });

  it('keeps milliseconds apart that it prints in the same second', () => {
    expect([1000, 1007, 1007.9, 999].map(formatIso)).toEqual([
      '1970-01-01T00:00:01.000Z',
      '1970-01-01T00:00:01.007Z',
      '1970-01-01T00:00:01.007Z',
      '1970-01-01T00:00:00.999Z',
    ]);
  });
});
