import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { certificateFacts } from '../../src/tls/certificate-facts.ts';
import { DerError, DerReader, namedBits, oidText, TAG, timeMs } from '../../src/tls/der.ts';
import { RevocationList } from '../../src/tls/revocation-list.ts';
import { TestCa } from '../support/pki.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('values are read one after the other, with what is inside of them', () => {
  const reader = new DerReader(hex('30 06 02 01 05 04 01 aa 01 01 ff'));
  const inner = reader.enter(TAG.sequence);
  expect(inner.expect(TAG.integer).content).toEqual(hex('05'));
  expect(inner.optional(TAG.boolean)).toBeUndefined();
  expect(inner.expect(TAG.octetString).whole).toEqual(hex('04 01 aa'));
  expect([inner.isAtEnd, inner.nextTag, reader.nextTag]).toEqual([true, -1, TAG.boolean]);
});

test('long lengths are read, and those that lie are refused', () => {
  const long = Buffer.concat([hex('04 82 01 00'), Buffer.alloc(256, 7)]);
  expect(new DerReader(long).read().content).toEqual(Buffer.alloc(256, 7));
  for (const wrong of ['', '04', '04 02 00', '04 80 00', '04 85 00 00 00 00 01', '04 84 ff ff ff ff 00', '1f 01 00']) {
    expect(() => new DerReader(hex(wrong)).read()).toThrow(DerError);
  }
});

test('object identifiers, bits and times are those of the standard', () => {
  expect(oidText(hex('2a 86 48 86 f7 0d 01 01 0b'))).toBe('1.2.840.113549.1.1.11');
  expect(oidText(hex('55 1d 11'))).toBe('2.5.29.17');
  expect(oidText(hex('88 37 03'))).toBe('2.999.3');
  expect(oidText(hex('06'))).toBe('0.6');
  expect(oidText(hex('69 83 f0 9d a7 eb cf de e0 c7 a1 a7 b2 c0 94 8c c8 f9 d7 7a'))).toBe(
    '2.25.329800735698586629295641978511506172922',
  );
  for (const wrong of ['2a 86', `69 ${'ff '.repeat(19)}7f`]) expect(() => oidText(hex(wrong))).toThrow(DerError);
  expect(namedBits(hex('01 06'))).toBe((1 << 5) | (1 << 6));
  expect(namedBits(hex('07 80'))).toBe(1);
  const time = (tag: number, text: string) => timeMs({ tag, content: Buffer.from(text), whole: Buffer.alloc(0) });
  expect(time(TAG.utcTime, '491231235959Z')).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
  expect(time(TAG.utcTime, '500101000000Z')).toBe(Date.UTC(1950, 0, 1));
  expect(time(TAG.generalizedTime, '20500101000000Z')).toBe(Date.UTC(2050, 0, 1));
  for (const wrong of ['', '5001010000Z', '20500101000000Z', '500101000000+0100']) {
    expect(() => time(TAG.utcTime, wrong)).toThrow(DerError);
  }
});

test('bytes from anybody are read or refused, and do nothing else', () => {
  const ca = new TestCa();
  const certificate = new X509Certificate(ca.issue({ names: ['URI:spiffe://a/b', '1.2.3:x'], keyUsage: 0x80 }).cert)
    .raw;
  const pem = ca.revoke(new X509Certificate(ca.cert));
  const list = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
  const change = fc.record({ at: fc.nat(), to: fc.nat(255), cut: fc.nat(40) });
  fc.assert(
    fc.property(change, fc.boolean(), ({ at, to, cut }, isList) => {
      const bytes = Buffer.from(isList ? list : certificate);
      bytes[at % bytes.length] = to;
      const broken = bytes.subarray(0, bytes.length - (cut > 20 ? 0 : cut));
      try {
        if (isList) new RevocationList(broken);
        else certificateFacts({ raw: broken });
      } catch (error) {
        expect(error).toBeInstanceOf(DerError);
      }
    }),
    { numRuns: 2000 },
  );
});
