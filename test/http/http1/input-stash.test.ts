import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputStash } from '../../../src/http/http1/input-stash.ts';

const text = (stash: InputStash): string => stash.buffer.latin1Slice(stash.begin, stash.end);

test('is a queue of bytes, whatever is put in and used up in which order', () => {
  const step = fc.oneof(
    fc.record({ put: fc.stringMatching(/^[a-z]{0,40}$/) }),
    fc.record({ use: fc.double({ min: 0, max: 1, noNaN: true }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const stash = new InputStash();
      let model = '';
      for (const one of steps) {
        if ('put' in one) {
          stash.append(Buffer.from(`<${one.put}>`), 1, one.put.length + 1);
          model += one.put;
        } else {
          const used = Math.floor(one.use * model.length);
          stash.advance(stash.begin + used);
          model = model.slice(used);
        }
        expect(text(stash)).toBe(model);
        expect(stash.length).toBe(model.length);
      }
    }),
  );
});

test('keeps a copy: the source may be reused at once', () => {
  const stash = new InputStash();
  const source = Buffer.from('abc');
  stash.append(source, 0, 3);
  source.fill(0);
  expect(text(stash)).toBe('abc');
});

test('lets its memory go when everything is used up', () => {
  const stash = new InputStash();
  stash.append(Buffer.alloc(100_000), 0, 100_000);
  stash.advance(stash.end);
  expect(stash.buffer.length).toBe(0);
});

test('does not grow while as much is used up as is put in', () => {
  const stash = new InputStash();
  const piece = Buffer.alloc(500);
  for (let i = 0; i < 1000; i++) {
    stash.append(piece, 0, 500);
    if (i > 0) stash.advance(stash.begin + 500);
  }
  expect(stash.buffer.length).toBeLessThanOrEqual(4096);
});
