import { describe, expect, test } from 'vitest';
import { Base64Decoder, MessageEncoder } from '../../../filters/grpc-web/base64.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
/** All of a text through one decoder, in pieces of a size. */
function decode(text: string, size = text.length): Buffer | undefined {
  const decoder = new Base64Decoder();
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; at += size) {
    const part = decoder.decode(latin1(text.slice(at, at + size)), at + size >= text.length);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function message(bytes: number): Buffer {
  const whole = Buffer.from(Array.from({ length: 5 + bytes }, (_, i) => i & 0xff));
  whole[0] = 0;
  whole.writeUInt32BE(bytes, 1);
  return whole;
}

describe('requests', () => {
  const bytes = Buffer.concat([message(0), message(1), message(2), message(1000)]);
  const parts = [message(0), message(1), message(2), message(1000)].map((part) => part.toString('base64')).join('');

  test.each([1, 2, 3, 4, 5, 7, 64, 4096])('in one part or one per message, in pieces of %i characters', (size) => {
    expect(decode(bytes.toString('base64'), size)).toEqual(bytes);
    expect(decode(parts, size)).toEqual(bytes);
  });

  test('an empty body is one', () => {
    expect(new Base64Decoder().decode(Buffer.alloc(0), true)).toEqual(Buffer.alloc(0));
  });

  test.each(['A', 'AB', 'ABC', 'AAAAA'])('%s ends within its four characters', (text) => {
    const decoder = new Base64Decoder();
    expect(decoder.decode(latin1(text), true)).toBeUndefined();
    expect(decoder.isCut).toBe(true);
  });

  test.each(['****', 'AA-_', 'AA A', '====', 'A===', 'AA=A', '=AAA', 'AAA\n', 'AAAA\u00e9\u00e9\u00e9\u00e9'])(
    '%j is no base64',
    (text) => {
      const decoder = new Base64Decoder();
      expect(decoder.decode(latin1(text), true)).toBeUndefined();
      expect(decoder.isCut).toBe(false);
    },
  );
});

describe('responses', () => {
  const messages = [message(0), message(1), message(2), message(3), message(70_000), message(0)];
  const expected = messages.map((part) => part.toString('base64')).join('');

  test.each([1, 2, 3, 4, 5, 6, 7, 1000, 65_536, 1_000_000])(
    'each message is a part of its own, from %i bytes at a time',
    (size) => {
      const encoder = new MessageEncoder();
      const bytes = Buffer.concat(messages);
      let text = '';
      for (let at = 0; at < bytes.length; at += size) {
        // Chunks are the proxy's memory: it is written over.
        const chunk = Buffer.from(bytes.subarray(at, at + size));
        text += encoder.encode(chunk);
        chunk.fill(0xff);
      }
      expect(text).toBe(expected);
    },
  );
});
