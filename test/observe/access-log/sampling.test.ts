import { expect, it } from 'vitest';
import { compileSampling } from '../../../src/observe/access-log/sampling.ts';
import { fakeSession, fakeStream } from '../fake-stream.ts';

const SHARE = { runtime_key: 'k', use_independent_randomness: false } as const;

function logged(id: string | undefined, random?: () => number, fields: object = {}, numerator = 25): boolean {
  const requestHeaders: Record<string, string> = id === undefined ? {} : { 'x-request-id': id };
  const sampled = { numerator, denominator: 'HUNDRED' } as const;
  return compileSampling({ ...SHARE, percent_sampled: sampled, ...fields }, random)(fakeStream({ requestHeaders }));
}

const never = (): number => expect.fail('a number was drawn');

it('is decided by the id of the request', () => {
  // 0x18 is 24, 0x19 is 25; 0x7d is 125.
  expect(logged('00000018-0000-4000-8000-000000000000', never)).toBe(true);
  expect(logged('00000019-0000-4000-8000-000000000000', never)).toBe(false);
  expect(logged('0000007d-ffff-4fff-8fff-ffffffffffff', never)).toBe(false);
  expect(logged('ffffffff-0000-4000-8000-000000000000', never)).toBe(false);
});

it('is decided by chance without an id, with one that is no number, and where that is asked for', () => {
  const id = '00000019-0000-4000-8000-000000000000';
  for (const [value, fields] of [
    [undefined, {}],
    ['1', {}],
    ['zzzzzzzz-0', {}],
    ['0000001-0000', {}],
    [id, { use_independent_randomness: true }],
  ] as const) {
    expect(logged(value, () => 0.24, fields)).toBe(true);
    expect(logged(value, () => 0.25, fields)).toBe(false);
  }
  const condition = compileSampling({ ...SHARE, percent_sampled: { numerator: 25, denominator: 'HUNDRED' } }, () => 0);
  expect(condition(fakeSession())).toBe(true);
});

it('draws nothing for none and for all', () => {
  expect(logged(undefined, never, {}, 0)).toBe(false);
  expect(logged(undefined, never, {}, 100)).toBe(true);
  expect(compileSampling(SHARE, never)(fakeStream({}))).toBe(false);
});

it('knows finer shares', () => {
  const sampled = { numerator: 7, denominator: 'MILLION' } as const;
  const condition = compileSampling({ ...SHARE, percent_sampled: sampled }, never);
  const at = (number: number) => {
    const id = `${number.toString(16).padStart(8, '0')}-0000`;
    return condition(fakeStream({ requestHeaders: { 'x-request-id': id } }));
  };
  expect([1_000_000, 3_000_006, 3_000_007].map(at)).toEqual([true, true, false]);
});
