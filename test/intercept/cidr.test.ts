import { describe, expect, test } from 'vitest';
import { addressNumber, addressText, contains, isLoopback, parseCidr } from '../../src/intercept/cidr.ts';

test.each([
  ['10.1.2.3/8', '10.0.0.0/8'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['fd00:1:2::3/16', 'fd00::/16'],
  ['2001:DB8::1', '2001:db8::1/128'],
  ['::/0', '::/0'],
  ['::ffff:10.0.0.1', '::ffff:a00:1/128'],
  ['1:0:0:2:0:0:0:3/128', '1:0:0:2::3/128'],
])('%s is the range %s', (text, range) => {
  expect(parseCidr(text)?.text).toBe(range);
});

test.each([
  '',
  '10.0.0/8',
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/',
  '10.0.0.0/-1',
  'fe80::1%eth0',
  '10.0.0.0/8/8',
  'shop',
])('%j is no range', (text) => {
  expect(parseCidr(text)).toBeUndefined();
});

describe('a range', () => {
  const holds = (range: string, family: 4 | 6, address: string): boolean => {
    const parsed = parseCidr(range);
    if (parsed === undefined) throw new Error(range);
    return contains(parsed, family, addressNumber(address));
  };

  test('holds its addresses from the first to the last, and no others', () => {
    expect(holds('10.16.0.0/12', 4, '10.15.255.255')).toBe(false);
    expect(holds('10.16.0.0/12', 4, '10.16.0.0')).toBe(true);
    expect(holds('10.16.0.0/12', 4, '10.31.255.255')).toBe(true);
    expect(holds('10.16.0.0/12', 4, '10.32.0.0')).toBe(false);
  });

  test('holds none of the other family', () => {
    expect(holds('0.0.0.0/0', 6, '::')).toBe(false);
  });

  test('is of the loopback by its first address', () => {
    expect(
      ['127.0.0.1/32', '127.0.0.0/8', '::1', '128.0.0.0/8', '::2'].map((text) => isLoopback(parseCidr(text)!)),
    ).toEqual([true, true, true, false, false]);
  });
});

test('addresses keep their usual spelling', () => {
  for (const text of ['::', '::1', '1::', 'fd00::1:0:0:1', '1:2:3:4:5:6:7:8']) {
    expect(addressText(6, addressNumber(text))).toBe(text);
  }
});
