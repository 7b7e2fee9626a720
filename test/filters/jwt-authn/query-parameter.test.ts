import { describe, expect, test } from 'vitest';
import { readParameter, removeParameter } from '../../../filters/jwt-authn/query-parameter.ts';

describe('a parameter of a query', () => {
  test.each([
    ['/a', undefined],
    ['/a?', undefined],
    ['/a?t', ''],
    ['/a?t=', ''],
    ['/a?t=x', 'x'],
    ['/a?b=1&t=x&c', 'x'],
    ['/a?xt=1&tx=2&t=3', '3'],
    ['/a?t=1&t=1', '1'],
    ['/a?t=1&t=2', '1,2'],
    ['/a?%74=x', 'x'],
    ['/a?t=a%2Eb=c', 'a.b=c'],
    ['/a?t=%zz+', '%zz+'],
    ['/a?b=t=1', undefined],
    ['/a#?t=x', 'x'],
    ['/a?b#t=x', undefined],
    ['/t=x', undefined],
    ['/a?=t', undefined],
    ['/a?&&t=x', 'x'],
  ])('%s', (path, value) => {
    expect(readParameter(path, 't')).toBe(value);
  });

  test.each([
    ['/a', '/a'],
    ['/a?t=x', '/a'],
    ['/a?t=x&b=%20+', '/a?b=%20+'],
    ['/a?b&t=x&c=d', '/a?b&c=d'],
    ['/a?t=1&b&%74=2&t', '/a?b'],
    ['/a?xt=1&tx', '/a?xt=1&tx'],
    ['/a?t=x#f', '/a#f'],
  ])('is taken out of %s', (path, rest) => {
    expect(removeParameter(path, 't')).toBe(rest);
  });
});

test('different values of one parameter are a list, which is no token', () => {
  expect(readParameter('/?t=a&x=1&%74=b&t=c', 't')).toBe('a,b');
  expect(readParameter('/?t=a&t=%61', 't')).toBe('a');
});
