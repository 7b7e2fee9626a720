import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64url } from '../../../filters/jwt-authn/base64url.ts';

test('bytes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(decodeBase64url(Buffer.from(bytes).toString('base64url'))).toEqual(Buffer.from(bytes));
    }),
  );
});

test('no other text stands for the same bytes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.stringMatching(/^[A-Za-z0-9_-]{0,9}$/)), (text) => {
      const bytes = decodeBase64url(text);
      if (bytes !== undefined) expect(bytes.toString('base64url')).toBe(text);
    }),
    { numRuns: 2000 },
  );
});
