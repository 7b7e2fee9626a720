import { expect, test } from 'vitest';
import { compileFormat } from '../../../src/observe/format/compile-format.ts';
import { fakeStream } from '../fake-stream.ts';

const stream = fakeStream({ requestHeaders: { 'x-a': 'alpha', 'x-b': 'beta' } });
const coalesce = (operators: unknown): string => compileFormat(`%COALESCE(${JSON.stringify({ operators })})%`)(stream);

test('the first operator that has a value is printed, as long as it may be', () => {
  expect(
    coalesce([
      { command: 'REQ', param: 'x-none' },
      { command: 'REQ', param: 'x-a' },
    ]),
  ).toBe('alpha');
  expect(coalesce([{ command: 'REQ', param: 'x-b', max_length: 2 }, 'PROTOCOL'])).toBe('be');
  expect(coalesce(['TRACE_ID', 'PROTOCOL'])).toBe('HTTP/1.1');
  expect(coalesce([{ command: 'REQ', param: 'x-none' }])).toBe('-');
});

test.each(['', '{}', '{"operators":[]}', '{"operators":[1]}', '{"operators":[{"param":"a"}]}', '{"operators":"REQ"}'])(
  '%s is refused, with the form that is wanted',
  (argument) => {
    expect(() => compileFormat(`%COALESCE(${argument})%`)).toThrow(/needs \{"operators"/);
  },
);

test('an operator that does not exist is refused', () => {
  expect(() => compileFormat('%COALESCE({"operators":["NO_SUCH"]})%')).toThrow(/NO_SUCH/);
});
