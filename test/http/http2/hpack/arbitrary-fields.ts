import fc from 'fast-check';
import type { Field } from './hpack-fixture.ts';

// biome-ignore format: a list
const NAMES = [
  ':method', ':path', ':authority', ':status', 'content-type', 'user-agent', 'cookie', 'authorization', 'date',
  'content-length', 'x-request-id', 'grpc-timeout', 'x-one', 'x-two', 'accept', 'via',
];
const VALUES = ['', 'GET', 'POST', '/', '/a/b', 'application/grpc', '1', '200', 'trailers', 'session=0123456789abcdef'];

const token = fc.string({ unit: fc.constantFrom(...'abcxyz019-_.!~'), minLength: 1, maxLength: 40 });
const text = fc
  .array(fc.oneof(fc.integer({ min: 0x21, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })), { maxLength: 300 })
  .map((bytes) => Buffer.from(bytes).latin1Slice());
const name = fc.oneof({ arbitrary: fc.constantFrom(...NAMES), weight: 6 }, { arbitrary: token, weight: 1 });
const value = fc.oneof(
  { arbitrary: fc.constantFrom(...VALUES), weight: 6 },
  { arbitrary: fc.nat(30).map((n) => `/item/${n}`), weight: 3 },
  { arbitrary: text, weight: 2 },
);
const field: fc.Arbitrary<Field> = fc.tuple(
  name,
  value,
  fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
);
export const block: fc.Arbitrary<Field[]> = fc.array(field, { maxLength: 20 });
const tableBytes = fc.oneof(fc.constantFrom(0, 32, 64, 4096), fc.nat(10_000));
/** A block, and what the peer changed its setting to before it. */
export const step: fc.Arbitrary<[settings: number[], fields: Field[]]> = fc.tuple(
  fc.array(tableBytes, { maxLength: 2 }),
  block,
);
