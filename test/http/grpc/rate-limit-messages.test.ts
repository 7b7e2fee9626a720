import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RateLimitRequestWriter, readRateLimitRequest } from '../../../src/http/grpc/rate-limit-request.ts';
import {
  type DescriptorStatus,
  RateLimitResponseWriter,
  readRateLimitResponse,
} from '../../../src/http/grpc/rate-limit-response.ts';
import { WireError } from '../../../src/http/grpc/wire-reader.ts';

const text = fc.string({ unit: 'binary', maxLength: 300 });
const wire = (value: string): string => Buffer.from(value, 'utf8').toString('latin1');
const uint32 = fc.nat(0xffffffff);

test('a request has the bytes that the protocol gives it', () => {
  const writer = new RateLimitRequestWriter();
  writer.begin('shop');
  writer.openDescriptor();
  writer.entry('k', 'v1');
  writer.closeDescriptor({ requestsPerUnit: 300, unit: 2 }, 7);
  expect(writer.finish(5).toString('hex')).toBe('0a0473686f7012140a070a016b12027631120508ac0210021a0208071805');
});

test('what was written is read, whatever its length', () => {
  const limits = fc.option(fc.record({ requestsPerUnit: uint32, unit: fc.nat(7) }), { nil: undefined });
  const descriptors = fc.array(
    fc.record({
      entries: fc.array(fc.record({ key: text, value: text }), { maxLength: 4 }),
      limit: limits,
      hitsAddend: fc.option(fc.nat(1_000_000_000), { nil: undefined }),
    }),
    { maxLength: 4 },
  );
  const writer = new RateLimitRequestWriter();
  fc.assert(
    fc.property(text, descriptors, uint32, (domain, all, hits) => {
      writer.begin(wire(domain));
      for (const { entries, limit, hitsAddend } of all) {
        writer.openDescriptor();
        for (const { key, value } of entries) writer.entry(wire(key), wire(value));
        writer.closeDescriptor(limit, hitsAddend);
      }
      expect(readRateLimitRequest(writer.finish(hits))).toEqual({ domain, descriptors: all, hitsAddend: hits });
    }),
  );
});

test('a value that is not UTF-8 is sent as one that a service can read', () => {
  const writer = new RateLimitRequestWriter();
  writer.begin('d');
  writer.openDescriptor();
  writer.entry('k', 'caf\xe9 \xff');
  writer.closeDescriptor(undefined, undefined);
  expect(readRateLimitRequest(writer.finish(0)).descriptors[0]?.entries[0]?.value).toBe('caf\ufffd \ufffd');
});

test('a response is read as it was written, with or without its statuses', () => {
  const statuses: fc.Arbitrary<DescriptorStatus[]> = fc.array(
    fc.record({
      code: fc.nat(2),
      currentLimit: fc.option(
        fc.record({ requestsPerUnit: uint32, unit: fc.nat(7), name: fc.string({ maxLength: 200 }) }),
        {
          nil: undefined,
        },
      ),
      remaining: uint32,
      resetSeconds: uint32,
    }),
  );
  const writer = new RateLimitResponseWriter();
  fc.assert(
    fc.property(fc.constantFrom(1, 2), statuses, (code, all) => {
      const bytes = writer.write(code, all);
      const known = all.map((status) => (status.currentLimit === undefined ? { ...status, resetSeconds: 0 } : status));
      expect(readRateLimitResponse(bytes, true)).toMatchObject({ overallCode: code, statuses: known });
      expect(readRateLimitResponse(bytes, false)).toMatchObject({ overallCode: code, statuses: [] });
    }),
  );
});

test('headers, body and metadata of a response are read, and fields of later versions are passed over', () => {
  // overall_code 2; response header a: b; request header c: d (raw); raw_body "no"; dynamic_metadata; quota; field 99.
  const bytes = Buffer.from(
    '0802' + '1a060a016112016' + '2' + '22060a01631a0164' + '2a026e6f' + '3200' + '3a021001' + '980601',
    'hex',
  );
  expect(readRateLimitResponse(bytes, true)).toEqual({
    overallCode: 2,
    statuses: [],
    responseHeaders: [['a', 'b']],
    requestHeaders: [['c', 'd']],
    body: 'no',
    metadata: Buffer.alloc(0),
  });
});

test('bytes that are no message are refused, never misread or followed beyond their end', () => {
  expect(() => readRateLimitResponse(Buffer.from('1205', 'hex'), true)).toThrow(WireError);
  expect(() => readRateLimitResponse(Buffer.from('0a01', 'hex'), true)).toThrow(WireError);
  expect(() => readRateLimitRequest(Buffer.from('00', 'hex'))).toThrow('a field has the number 0');
  expect(() => readRateLimitRequest(Buffer.from('2b', 'hex'))).toThrow('unknown wire type 3');
  expect(() => readRateLimitRequest(Buffer.from('18ffffffffffffffffffff01', 'hex'))).toThrow('too long');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const read of [readRateLimitRequest, (message: Buffer) => readRateLimitResponse(message, true)]) {
        try {
          read(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }
    }),
  );
});
