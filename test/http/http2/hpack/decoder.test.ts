import { describe, expect, test } from 'vitest';
import { KNOWN, nameOf, presenceBit } from '../../../../src/http/http1/header-names.ts';
import { HpackDecoder } from '../../../../src/http/http2/hpack/decoder.ts';
import { FieldList, PSEUDO } from '../../../../src/http/http2/hpack/field-list.ts';
import { encodeHuffman, huffmanBytes } from '../../../../src/http/http2/hpack/huffman.ts';
import { createDecoder, decodeBlock, dynamicEntries, hex, pairs } from './hpack-fixture.ts';

/** An integer of up to 31 bits behind `first`, whose prefix `mask` covers. */
function integer(first: number, mask: number, value: number): number[] {
  if (value < mask) return [first | value];
  const bytes = [first | mask];
  for (value -= mask; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

function string(text: string, isHuffman = false): number[] {
  if (!isHuffman) return [...integer(0, 0x7f, text.length), ...Buffer.from(text, 'latin1')];
  const bytes = Buffer.from(text, 'latin1');
  const coded = Buffer.alloc(huffmanBytes(bytes, bytes.length));
  encodeHuffman(bytes, bytes.length, coded, 0);
  return [...integer(0x80, 0x7f, coded.length), ...coded];
}

const INDEXED = 0x40;
const PLAIN = 0x00;
const NEVER = 0x10;

function literal(form: number, name: string, value: string, isHuffman = false): number[] {
  return [form, ...string(name, isHuffman), ...string(value, isHuffman)];
}

function decode(decoder: HpackDecoder, ...parts: (number | number[])[]): ReturnType<typeof decodeBlock> {
  return decodeBlock(decoder, Buffer.from(parts.flat()));
}

function errorOf(...parts: (number | number[])[]): string {
  return decode(createDecoder(), ...parts).error;
}

describe('compression errors', () => {
  test.for([
    { name: 'index 0', block: '80', error: 'index 0 in a header block' },
    { name: 'index 62 of an empty table', block: 'be', error: 'index beyond the header tables' },
    { name: 'an index of 2^31', block: 'ff 81 ff ff ff 07', error: 'index beyond the header tables' },
    { name: 'a name at index 62 of an empty table', block: '7e 01 61', error: 'index beyond the header tables' },
    { name: 'a name at index 62, not indexed', block: '0f 2f 01 61', error: 'index beyond the header tables' },
    { name: 'an index that ends early', block: 'ff', error: 'header block ends within a field' },
    { name: 'an index that goes on', block: 'ff 80 80', error: 'header block ends within a field' },
    { name: 'six continuation bytes', block: 'ff 80 80 80 80 80 00', error: 'integer of a header block is too long' },
    {
      name: 'a length of six continuation bytes',
      block: '00 7f 80 80 80 80 80 00',
      error: 'integer of a header block is too long',
    },
    { name: 'no name', block: '00', error: 'header block ends within a field' },
    { name: 'a name that ends early', block: '00 02 61', error: 'header block ends within a field' },
    { name: 'no value', block: '00 01 61', error: 'header block ends within a field' },
    { name: 'a value that ends early', block: '00 01 61 05 61', error: 'header block ends within a field' },
    { name: 'a value of 2^35 bytes', block: '00 01 61 7f ff ff ff ff 7f', error: 'header block ends within a field' },
    { name: 'a Huffman value that ends early', block: '00 01 61 82 1f', error: 'header block ends within a field' },
    { name: 'Huffman padding of zeros', block: '00 01 61 81 18', error: 'invalid Huffman code in a header block' },
    { name: 'Huffman padding of 8 bits', block: '00 01 61 82 1f ff', error: 'invalid Huffman code in a header block' },
    { name: 'EOS in a name', block: '00 84 ff ff ff ff 01 61', error: 'invalid Huffman code in a header block' },
    { name: 'a size update behind a field', block: '82 20', error: 'dynamic table size update behind a field' },
    {
      name: 'a size update above our setting',
      block: '3f e2 1f',
      error: 'dynamic table size update above SETTINGS_HEADER_TABLE_SIZE',
    },
    { name: 'a size update that ends early', block: '3f', error: 'header block ends within a field' },
  ])('$name', ({ block, error }) => {
    expect(decodeBlock(createDecoder(), hex(block)).error).toBe(error);
  });

  test('integers with needless continuation bytes are read', () => {
    expect(decodeBlock(createDecoder(), hex('1f 80 80 80 80 00 01 61')).error).toBe('');
  });
});

describe('names', () => {
  test('known names have the number and the string of the table of names, however they come', () => {
    const decoder = createDecoder();
    const { list } = decode(
      decoder,
      literal(INDEXED, 'x-envoy-attempt-count', '1'),
      literal(PLAIN, 'x-envoy-attempt-count', '2', true),
      0xbe,
      [0x0f, 62 - 15, ...string('3')],
      [0x5f, ...string('text/plain')],
    );
    expect(pairs(list)).toEqual([
      ['x-envoy-attempt-count', '1'],
      ['x-envoy-attempt-count', '2'],
      ['x-envoy-attempt-count', '1'],
      ['x-envoy-attempt-count', '3'],
      ['content-type', 'text/plain'],
    ]);
    for (let i = 0; i < list.count; i++) expect(nameOf(list.known[i] as number)).toBe(list.names[i]);
    expect(presenceBit(list.known[0] as number)).not.toBe(0);
  });

  test("pseudo-headers have numbers of their own, which are no names' and have no presence", () => {
    const names = [':method', ':path', ':authority', ':scheme', ':status', ':protocol', ':other'];
    const numbers = Object.values(PSEUDO);
    for (const isHuffman of [false, true]) {
      const { list } = decode(createDecoder(), ...names.map((name) => literal(PLAIN, name, 'x', isHuffman)));
      expect(list.names.slice(0, list.count)).toEqual(names);
      expect(list.known.slice(0, list.count)).toEqual(numbers);
    }
    const { list } = decode(createDecoder(), 0x81, 0x82, 0x84, 0x86, 0x88);
    const { AUTHORITY, METHOD, PATH, SCHEME, STATUS } = PSEUDO;
    expect(list.known.slice(0, 5)).toEqual([AUTHORITY, METHOD, PATH, SCHEME, STATUS]);
    for (const number of numbers) {
      expect(nameOf(number)).toBeUndefined();
      expect(presenceBit(number)).toBe(0);
    }
  });

  test('names are learned only while there is room, and decoded all the same', () => {
    const decoder = createDecoder();
    for (let i = 0; i < 400; i++) {
      const { list } = decode(decoder, literal(PLAIN, `x-made-up-${i}`, 'v'));
      expect(list.names[0]).toBe(`x-made-up-${i}`);
      if (list.known[0] !== 0) expect(nameOf(list.known[0] as number)).toBe(`x-made-up-${i}`);
    }
    expect(decode(decoder, literal(PLAIN, 'x-made-up-399', 'v')).list.known[0]).toBe(0);
    // That an x-envoy- header is there is known all the same: those of strangers are taken out.
    const { list } = decode(decoder, literal(INDEXED, 'x-envoy-made-up', 'v'), 0xbe);
    for (let i = 0; i < 2; i++) expect(presenceBit(list.known[i] as number)).toBe(1 << KNOWN.ANY_ENVOY);
  });
});

describe('malformed fields leave the compression intact', () => {
  const FAULTS: [name: string, value: string, fault: string][] = [
    ['', 'v', 'empty header name'],
    ['Accept', 'v', 'upper-case letter in a header name'],
    ['x-\x00', 'v', 'invalid character in a header name'],
    ['x y', 'v', 'invalid character in a header name'],
    ['x:y', 'v', 'invalid character in a header name'],
    ['x(y', 'v', 'invalid character in a header name'],
    ['x\x7f', 'v', 'invalid character in a header name'],
    ['x\xe9', 'v', 'invalid character in a header name'],
    [':', 'v', 'invalid character in a header name'],
    ['::path', 'v', 'invalid character in a header name'],
    [':Path', 'v', 'upper-case letter in a header name'],
    ['x', 'a\x00b', 'invalid character in a header value'],
    ['x', 'a\rb', 'invalid character in a header value'],
    ['x', '\n', 'invalid character in a header value'],
    ['x', 'a\x1fb', 'invalid character in a header value'],
    ['x', 'a\x7fb', 'invalid character in a header value'],
    ['x', ' a', 'white space around a header value'],
    ['x', 'a ', 'white space around a header value'],
    ['x', '\ta', 'white space around a header value'],
    ['x', 'a\t', 'white space around a header value'],
    ['x', ' ', 'white space around a header value'],
  ];
  const CODINGS = [false, true];

  test.for(FAULTS)('%j: %j is found: %s', ([name, value, fault]) => {
    for (const isHuffman of CODINGS) {
      const decoder = createDecoder();
      const literals = decode(
        decoder,
        0x82,
        literal(PLAIN, name, value, isHuffman),
        literal(INDEXED, name, value, isHuffman),
      );
      expect(literals).toMatchObject({ error: '', list: { malformed: fault, count: 3 } });
      // Each reference to the entry is as malformed as the literal was, and the next block is not.
      expect(decode(decoder, 0xbe)).toMatchObject({ error: '', list: { malformed: fault } });
      expect(decode(decoder, 0x82)).toMatchObject({ error: '', list: { malformed: '' } });
      expect(dynamicEntries(decoder)).toEqual([[name, value]]);
    }
  });

  test('a name that is wrong makes every literal wrong that refers to it, a value does not', () => {
    const decoder = createDecoder();
    decode(decoder, literal(INDEXED, 'x', 'a\nb'), literal(INDEXED, 'X', 'v'));
    expect(decode(decoder, [0x7e, ...string('v')]).list.malformed).toBe('upper-case letter in a header name');
    // The entry of `x` is the third newest by now.
    expect(decode(decoder, [0x0f, 64 - 15, ...string('v')]).list.malformed).toBe('');
  });

  test('the first fault is told', () => {
    const { list } = decode(createDecoder(), literal(PLAIN, 'x', 'a\nb'), literal(PLAIN, 'X', 'v'));
    expect(list.malformed).toBe('invalid character in a header value');
  });

  test.for(['', 'v', 'a b', 'a\tb', '\x80\xff', '!"#~'])('value %j is right', (value) => {
    for (const isHuffman of CODINGS) {
      const { list } = decode(createDecoder(), literal(PLAIN, 'x', value, isHuffman));
      expect(list).toMatchObject({ malformed: '', count: 1 });
      expect(list.values[0]).toBe(value);
    }
  });
});

describe('limits', () => {
  test('fields beyond the largest list are dropped, and the table stays in step', () => {
    const decoder = new HpackDecoder(4096, 3 * 34, 100);
    const { list, fields, error } = decode(
      decoder,
      literal(PLAIN, 'a', '1'),
      literal(PLAIN, 'b', '2'),
      literal(PLAIN, 'c', '3'),
      literal(INDEXED, 'd', '4'),
      0x82,
      literal(NEVER, 'e', '5', true),
    );
    expect(error).toBe('');
    expect(fields).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]);
    expect(list).toMatchObject({ tooLarge: true, bytes: 5 * 34 + 42 });
    expect(decode(decoder, 0xbe)).toMatchObject({ fields: [['d', '4']], list: { tooLarge: false } });
  });

  test('so are fields beyond the largest number', () => {
    const decoder = new HpackDecoder(4096, 10_000, 2);
    const { list, fields } = decode(decoder, 0x82, 0x84, literal(INDEXED, 'd', '4'), 0x86);
    expect(fields).toEqual([
      [':method', 'GET'],
      [':path', '/'],
    ]);
    expect(list.tooLarge).toBe(true);
    expect(decode(decoder, 0xbe).fields).toEqual([['d', '4']]);
  });

  test('what is dropped is checked all the same', () => {
    const decoder = new HpackDecoder(4096, 10_000, 1);
    expect(decode(decoder, 0x82, literal(PLAIN, 'x', 'a\nb')).list.malformed).toBe(
      'invalid character in a header value',
    );
    expect(decode(decoder, 0x82, literal(PLAIN, 'X', 'a')).list.malformed).toBe('upper-case letter in a header name');
    expect(decode(decoder, 0x82, hex('00 01 61 81 18').toJSON().data).error).toBe(
      'invalid Huffman code in a header block',
    );
  });

  test('an entry larger than the table empties it, and is a field', () => {
    const decoder = createDecoder();
    const long = 'v'.repeat(4096);
    const { fields } = decode(decoder, literal(INDEXED, 'a', '1'), literal(INDEXED, 'x', long, true), 0x82);
    expect(fields).toEqual([
      ['a', '1'],
      ['x', long],
      [':method', 'GET'],
    ]);
    expect(decoder.tableBytes).toBe(0);
    expect(decode(decoder, 0xbe).error).not.toBe('');
  });

  test('Huffman strings longer than the common memory are decoded', () => {
    const long = 'abcdefgh'.repeat(10_000);
    expect(decode(createDecoder(), literal(PLAIN, 'x', long, true)).list.values[0]).toBe(long);
  });

  test('a list that was long does not keep its strings', () => {
    const list = new FieldList();
    const long = Buffer.from([0x82, ...literal(PLAIN, 'x', 'v'.repeat(100_000))]);
    decodeBlock(createDecoder(), long, list);
    decodeBlock(createDecoder(), hex('82'), list);
    expect(list.values).toEqual(['GET']);
  });
});

describe('size updates', () => {
  test('evict, and several may stand at the begin of a block', () => {
    const decoder = createDecoder();
    decode(decoder, literal(INDEXED, 'a', '1'), literal(INDEXED, 'b', '2'));
    expect(decode(decoder, integer(0x20, 0x1f, 34), integer(0x20, 0x1f, 4096), 0xbe).fields).toEqual([['b', '2']]);
    expect(dynamicEntries(decoder)).toEqual([['b', '2']]);
    expect(decode(decoder, 0x20, 0x82).error).toBe('');
    expect(decoder.tableBytes).toBe(0);
    // Size 0 until another update.
    decode(decoder, literal(INDEXED, 'c', '3'));
    expect(decoder.tableBytes).toBe(0);
  });

  test('may go up to our setting, which is larger than the default', () => {
    const decoder = createDecoder(8192);
    expect(decode(decoder, integer(0x20, 0x1f, 8192)).error).toBe('');
    expect(decode(decoder, integer(0x20, 0x1f, 8193)).error).not.toBe('');
  });

  test("a table of the default size is the peer's right until it has acknowledged our lower setting", () => {
    const decoder = createDecoder(1024);
    expect(decode(decoder, integer(0x20, 0x1f, 4096), literal(INDEXED, 'a', 'v'.repeat(2000))).error).toBe('');
    expect(decoder.tableBytes).toBe(2033);
    decoder.settingsAcknowledged();
    expect(decode(decoder, integer(0x20, 0x1f, 1024), 0x82).error).toBe('');
    expect(decoder.tableBytes).toBe(0);
    expect(decode(decoder, integer(0x20, 0x1f, 1025)).error).toMatch('above');
  });

  test('one is due after the acknowledgement of a lower setting', () => {
    const decoder = createDecoder(1024);
    decoder.settingsAcknowledged();
    expect(decode(decoder, 0x82).error).toMatch('no dynamic table size update');
  });

  test('none is due where the setting was not lowered', () => {
    const decoder = createDecoder(4096);
    decoder.settingsAcknowledged();
    expect(decode(decoder, 0x82).error).toBe('');
  });
});

test('the ring of entries keeps its order while it grows and turns', () => {
  const decoder = createDecoder();
  const expected: [string, string][] = [];
  for (let i = 0; i < 1000; i++) {
    decode(decoder, literal(INDEXED, 'n', String(i)));
    expected.unshift(['n', String(i)]);
    while (expected.reduce((sum, [, value]) => sum + 33 + value.length, 0) > 4096) expected.pop();
    if (i % 50 === 0) expect(dynamicEntries(decoder)).toEqual(expected);
  }
  expect(dynamicEntries(decoder)).toEqual(expected);
});

test('an empty block is an empty list', () => {
  expect(errorOf()).toBe('');
});
