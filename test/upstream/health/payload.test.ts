import { expect, test } from 'vitest';
import { holdsBlocks } from '../../../src/upstream/health/payload.ts';

const holds = (bytes: string, ...blocks: string[]): boolean =>
  holdsBlocks(
    Buffer.from(bytes),
    blocks.map((block) => Buffer.from(block)),
  );

test('blocks are found in order, with other bytes between', () => {
  expect(holds('one and two', 'one', 'two')).toBe(true);
  expect(holds('one and two', 'two', 'one')).toBe(false);
  expect(holds('one and', 'one', 'two')).toBe(false);
});

test('no byte serves two blocks', () => {
  expect(holds('abab', 'ab', 'ab')).toBe(true);
  expect(holds('aba', 'ab', 'ba')).toBe(false);
});

test('no blocks are in everything', () => {
  expect(holds('')).toBe(true);
});
