import { expect, test } from 'vitest';
import { HpackDecoder } from '../../../../src/http/http2/hpack/decoder.ts';
import { FieldList } from '../../../../src/http/http2/hpack/field-list.ts';
import { RecentLiteral } from '../../../../src/http/http2/hpack/recent-literal.ts';
import { TableEntry } from '../../../../src/http/http2/hpack/static-table.ts';

const DATE = 33;
const LOCATION = 46;

/** A literal without indexing whose name is in the static table (RFC 7541 §6.2.2). */
function literal(index: number, value: string, sensitive = false): number[] {
  const first = sensitive ? 0x10 : 0x00;
  return [first | 0x0f, index - 15, value.length, ...Buffer.from(value, 'latin1')];
}

/** A literal with incremental indexing (RFC 7541 §6.2.1). */
function indexed(index: number, value: string): number[] {
  return [0x40 | index, value.length, ...Buffer.from(value, 'latin1')];
}

function decode(decoder: HpackDecoder, bytes: number[], fields = new FieldList()): FieldList {
  expect(decoder.decode(Buffer.from(bytes), 0, bytes.length, fields)).toBe('');
  return fields;
}

test.each(['indexed', 'not indexed'])('values that come again and values that change are decoded alike: %s', (way) => {
  const decoder = new HpackDecoder(4096, 65_536, 100);
  const values = ['one', 'one', 'two', 'two', 'tw', 'two!', 'one', '', '', 'x'.repeat(100), 'x'.repeat(100)];
  for (let round = 0; round < 5; round++) {
    for (const value of values) {
      const fields = decode(
        decoder,
        way === 'indexed'
          ? [...indexed(DATE, value), ...indexed(LOCATION, 'there')]
          : [...literal(DATE, value), ...literal(LOCATION, 'there')],
      );
      expect(fields.names.slice(0, 2)).toEqual(['date', 'location']);
      expect(fields.values.slice(0, 2)).toEqual([value, 'there']);
      expect(fields.bytes).toBe('date'.length + value.length + 32 + 'location'.length + 'there'.length + 32);
    }
  }
});

test('what comes again enters the table each time', () => {
  const decoder = new HpackDecoder(4096, 65_536, 100);
  const fields = new FieldList();
  for (let i = 1; i <= 3; i++) {
    decode(decoder, indexed(DATE, 'today'), fields);
    expect(decoder.tableBytes).toBe(i * ('date'.length + 'today'.length + 32));
    // The newest, and the oldest.
    decode(decoder, [0x80 | 62, 0x80 | (61 + i)], fields);
    expect(fields.values.slice(0, 2)).toEqual(['today', 'today']);
  }
});

test('a value that comes again is cut off where the block ends', () => {
  const decoder = new HpackDecoder(4096, 65_536, 100);
  const bytes = literal(DATE, 'today');
  decode(decoder, bytes);
  for (let length = 1; length < bytes.length; length++) {
    expect(decoder.decode(Buffer.from(bytes), 0, length, new FieldList())).not.toBe('');
  }
});

test('a faulty value stays one, and a secret one is not kept', () => {
  const decoder = new HpackDecoder(4096, 65_536, 100);
  for (let i = 0; i < 3; i++) {
    expect(decode(decoder, literal(DATE, 'a\nb')).malformed).toBe('invalid character in a header value');
    expect(decode(decoder, literal(LOCATION, 'there', true)).sensitive[0]).toBe(true);
    expect(decode(decoder, literal(LOCATION, 'there')).sensitive[0]).toBe(false);
  }
});

test('a list that is full stays full', () => {
  const decoder = new HpackDecoder(4096, 65_536, 2);
  const one = literal(DATE, 'today');
  expect(decode(decoder, [...one, ...one]).tooLarge).toBe(false);
  const fields = decode(decoder, [...one, ...one, ...one]);
  expect(fields.tooLarge).toBe(true);
  expect(fields.count).toBe(2);
});

test('a name whose values keep changing is given up', () => {
  const recent = new RecentLiteral();
  const bytes = Buffer.from([3, 97, 98, 99]);
  const entry = new TableEntry('date', 'abc', 0, 39, '', '');
  recent.keep(bytes, 0, 4, entry);
  expect(recent.matches(bytes, 0, 4)).toBe(true);
  for (let i = 0; i < 20; i++) recent.keep(bytes, 0, 4, entry);
  expect(recent.matches(bytes, 0, 4)).toBe(false);
  expect(recent.isWorthIt).toBe(false);
});
