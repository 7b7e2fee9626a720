import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../../../src/http/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../../../src/http/http2/hpack/encoder.ts';
import { block, step } from './arbitrary-fields.ts';
import { createDecoder, decodeBlock, dynamicEntries, encodeBlock } from './hpack-fixture.ts';

describe('blocks of the encoder', () => {
  test('decode to their fields, and both tables stay the same', () => {
    fc.assert(
      fc.property(fc.nat(8192), fc.array(step, { maxLength: 30 }), (ourBytes, steps) => {
        const encoder = new HpackEncoder(ourBytes);
        const decoder = createDecoder(65_536);
        for (const [settings, fields] of steps) {
          for (const bytes of settings) encoder.setPeerTableBytes(bytes);
          const decoded = decodeBlock(decoder, encodeBlock(encoder, fields));
          expect(decoded.error).toBe('');
          expect(decoded.list.malformed).toBe('');
          expect(decoded.fields).toEqual(fields.map(([name, value]) => [name, value]));
          expect(decoder.tableBytes).toBe(encoder.tableBytes);
          // A field that the decoder has at an index is one that the encoder refers to by the same index.
          for (const [age, [name, value]] of dynamicEntries(decoder).entries()) {
            const probe = encodeBlock(encoder, [[name, value]]);
            expect(probe).toEqual(Buffer.from(62 + age < 127 ? [0xbe + age] : [0xff, 62 + age - 127]));
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test('say what may never be indexed', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 5 }), (blocks) => {
        const encoder = new HpackEncoder(4096);
        const decoder = createDecoder();
        for (const fields of blocks) {
          const { list } = decodeBlock(decoder, encodeBlock(encoder, fields));
          for (const [i, [, , sensitive]] of fields.entries()) if (sensitive) expect(list.sensitive[i]).toBe(true);
        }
      }),
    );
  });
});

describe("blocks that are not an encoder's", () => {
  /** Decodes twice what may be anything: an error or a list, within its limits, and a table within its size. */
  function endures(decoder: HpackDecoder, bytes: Buffer): void {
    for (let i = 0; i < 2; i++) {
      const { error, list } = decodeBlock(decoder, bytes);
      expect(typeof error).toBe('string');
      expect(list.count).toBeLessThanOrEqual(50);
      expect(decoder.tableBytes).toBeLessThanOrEqual(4096);
      const held = list.values.slice(0, list.count).reduce((sum, value) => sum + value.length, 0);
      expect(held).toBeLessThanOrEqual(2000);
    }
  }

  test('every truncation is an error or a shorter list', () => {
    fc.assert(
      fc.property(block, (fields) => {
        const whole = encodeBlock(new HpackEncoder(4096), fields);
        for (let end = 0; end < whole.length; end++) {
          const decoder = createDecoder();
          const decoded = decodeBlock(decoder, whole.subarray(0, end));
          if (decoded.error !== '') continue;
          expect(decoded.fields).toEqual(fields.slice(0, decoded.fields.length).map(([name, value]) => [name, value]));
        }
      }),
      { numRuns: 50 },
    );
  });

  test('any change of any bytes gives an error or a list', () => {
    const change = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(block, { minLength: 1, maxLength: 4 }),
        fc.array(change, { minLength: 1, maxLength: 8 }),
        (blocks, changes) => {
          const encoder = new HpackEncoder(4096);
          const decoder = new HpackDecoder(4096, 2000, 50);
          for (const fields of blocks) {
            const bytes = encodeBlock(encoder, fields);
            for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
            endures(decoder, bytes);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('so do random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        endures(new HpackDecoder(4096, 2000, 50), Buffer.from(bytes));
      }),
      { numRuns: 3000 },
    );
  });
});
