import { expect, test } from 'vitest';
import {
  code,
  escapeText,
  figureText,
  numberText,
  percentText,
  plainTable,
  rangeText,
  shareText,
} from '../../../src/lab/characterize/text-table.ts';
import { figure } from './characterization.ts';

test('figures have three digits, the ratio to a baseline of the same rounds, and a mark where rounds lie far apart', () => {
  expect(figureText(figure(12.345))).toBe('12.3');
  expect(figureText(figure(10, 20), figure(20, 40))).toBe('15.0 [0.50] ~');
  expect(figureText(figure(-10, -20))).toBe('−15.0 ~');
  expect(figureText(undefined, figure(1))).toBe('–');
  expect(figureText(figure(Number.NaN))).toBe('–');
});

test('differences have the range of their rounds', () => {
  expect(rangeText(figure(-0.25, 4, 9))).toBe('4.00 (−0.25 to 9.00)');
  expect(rangeText(figure(4))).toBe('4.00');
  expect(rangeText(undefined)).toBe('–');
});

test.each([
  [3.0777, '+3.1 %'],
  [-0.04, '0.0 %'],
  [-12.35, '−12.3 %'],
  [123.4, '+123 %'],
  [Number.NaN, '–'],
  [undefined, '–'],
])('%d percent is %s', (percent, text) => {
  expect(percentText(percent)).toBe(text);
});

test('shares and numbers that are none are a dash', () => {
  expect([shareText(0.1234), shareText(Number.NaN)]).toEqual(['12.3 %', '–']);
  expect([numberText(-1234.6), numberText(Number.POSITIVE_INFINITY), numberText(undefined)]).toEqual([
    '−1,235',
    '–',
    '–',
  ]);
});

test('columns of numbers are aligned to the right, words and marks to the left, and notes are wrapped', () => {
  const text = plainTable({
    title: 'Title',
    words: 1,
    columns: ['name', 'µs', 'marks'],
    rows: [
      ['a', '1.00', 'odd'],
      ['longer', '100', ''],
    ],
    notes: [Array(60).fill('word').join(' ')],
    command: 'again',
  });
  const [title, head, first, second, ...rest] = text.split('\n');
  expect([title, head, first, second]).toEqual(['Title', 'name      µs  marks', 'a       1.00  odd', 'longer   100']);
  expect(rest.at(-1)).toBe('Again: again');
  expect(rest.length).toBe(4);
  for (const line of rest) expect(line.length).toBeLessThanOrEqual(120);
});

test('what comes from outside is never markup', () => {
  expect(escapeText('a_b*c\n<d>')).toBe('a\\_b\\*c \\<d>');
  expect(code('plain')).toBe('`plain`');
  expect(code('a `b` c')).toBe('``a `b` c``');
  expect(code('`')).toBe('`` ` ``');
});
