import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentLengthOf, isPath, statusOf } from '../../../src/http/http2/field-values.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 20 }),
  fc.stringMatching(/^[0-9+ -]{0,18}$/),
  fc.stringMatching(/^\/[\x20-\x80]{0,10}$/),
);

test('a length is one to fifteen digits', () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(contentLengthOf(value)).toBe(/^\d{1,15}$/.test(value) ? Number(value) : -1);
    }),
  );
  expect(contentLengthOf('999999999999999')).toBe(999_999_999_999_999);
  expect(contentLengthOf('1000000000000000')).toBe(-1);
});

test('a status is three digits, the first not 0', () => {
  for (const good of ['100', '200', '999']) expect(statusOf(good)).toBe(Number(good));
  for (const bad of ['', '20', '099', '2000', '2 0', '+20', '2e1', 'abc']) expect(statusOf(bad)).toBe(-1);
});

test('a path begins with a slash and holds visible ASCII', () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(isPath(value)).toBe(/^\/[\x21-\x7e]*$/.test(value));
    }),
  );
  expect(isPath('')).toBe(false);
});
