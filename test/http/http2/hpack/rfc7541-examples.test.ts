import { describe, expect, test } from 'vitest';
import { HpackEncoder } from '../../../../src/http/http2/hpack/encoder.ts';
import { createDecoder, decodeBlock, dynamicEntries, hex } from './hpack-fixture.ts';

interface Example {
  block: string;
  fields: [name: string, value: string][];
  /** The dynamic table afterwards. */
  table: [name: string, value: string][];
  bytes: number;
}

const AUTHORITY: [string, string] = [':authority', 'www.example.com'];
const CUSTOM: [string, string] = ['custom-key', 'custom-value'];
const NO_CACHE: [string, string] = ['cache-control', 'no-cache'];
const REQUEST: [string, string][] = [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], AUTHORITY];
const REQUESTS: Omit<Example, 'block'>[] = [
  { fields: REQUEST, table: [AUTHORITY], bytes: 57 },
  { fields: [...REQUEST, NO_CACHE], table: [NO_CACHE, AUTHORITY], bytes: 110 },
  {
    fields: [[':method', 'GET'], [':scheme', 'https'], [':path', '/index.html'], AUTHORITY, CUSTOM],
    table: [CUSTOM, NO_CACHE, AUTHORITY],
    bytes: 164,
  },
];

const LOCATION: [string, string] = ['location', 'https://www.example.com'];
const DATE: [string, string] = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'];
const LATER: [string, string] = ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'];
const PRIVATE: [string, string] = ['cache-control', 'private'];
const COOKIE: [string, string] = ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'];
const GZIP: [string, string] = ['content-encoding', 'gzip'];
/** With a table of 256 bytes, so that entries are evicted. */
const RESPONSES: Omit<Example, 'block'>[] = [
  {
    fields: [[':status', '302'], PRIVATE, DATE, LOCATION],
    table: [LOCATION, DATE, PRIVATE, [':status', '302']],
    bytes: 222,
  },
  {
    fields: [[':status', '307'], PRIVATE, DATE, LOCATION],
    table: [[':status', '307'], LOCATION, DATE, PRIVATE],
    bytes: 222,
  },
  {
    fields: [[':status', '200'], PRIVATE, LATER, LOCATION, GZIP, COOKIE],
    table: [COOKIE, GZIP, LATER],
    bytes: 215,
  },
];

function withBlocks(examples: Omit<Example, 'block'>[], blocks: string[]): Example[] {
  return examples.map((example, i) => ({ ...example, block: blocks[i] as string }));
}

const SEQUENCES: { name: string; tableBytes: number; examples: Example[] }[] = [
  {
    name: 'C.3 requests without Huffman coding',
    tableBytes: 4096,
    examples: withBlocks(REQUESTS, [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ]),
  },
  {
    name: 'C.4 requests with Huffman coding',
    tableBytes: 4096,
    examples: withBlocks(REQUESTS, [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ]),
  },
  {
    name: 'C.5 responses without Huffman coding',
    tableBytes: 256,
    examples: withBlocks(RESPONSES, [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
       3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
       7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
       6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ]),
  },
  {
    name: 'C.6 responses with Huffman coding',
    tableBytes: 256,
    examples: withBlocks(RESPONSES, [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
       1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
       e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ]),
  },
];

describe.for(SEQUENCES)('$name', ({ tableBytes, examples }) => {
  test('every block decodes to its fields and leaves its table', () => {
    const decoder = createDecoder(tableBytes);
    // Both sides of the examples know the table's size beforehand; here it is told: 256 is 31 + 225.
    if (tableBytes === 256) expect(decodeBlock(decoder, hex('3f e1 01')).error).toBe('');
    for (const { block, fields, table, bytes } of examples) {
      const decoded = decodeBlock(decoder, hex(block));
      expect(decoded).toMatchObject({ error: '', fields });
      expect(decoded.list).toMatchObject({ malformed: '', tooLarge: false });
      expect(decoder.tableBytes).toBe(bytes);
      expect(dynamicEntries(decoder)).toEqual(table);
    }
  });
});

describe('C.2 single fields', () => {
  test('a literal that is indexed', () => {
    const decoder = createDecoder();
    const block = hex('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572');
    expect(decodeBlock(decoder, block)).toMatchObject({ error: '', fields: [['custom-key', 'custom-header']] });
    expect(decoder.tableBytes).toBe(55);
  });

  test('a literal that is not indexed', () => {
    const decoder = createDecoder();
    const { fields, list } = decodeBlock(decoder, hex('040c 2f73 616d 706c 652f 7061 7468'));
    expect(fields).toEqual([[':path', '/sample/path']]);
    expect(list.sensitive[0]).toBe(false);
    expect(decoder.tableBytes).toBe(0);
  });

  test('a literal that may never be indexed', () => {
    const decoder = createDecoder();
    const { fields, list } = decodeBlock(decoder, hex('1008 7061 7373 776f 7264 0673 6563 7265 74'));
    expect(fields).toEqual([['password', 'secret']]);
    expect(list.sensitive[0]).toBe(true);
    expect(decoder.tableBytes).toBe(0);
  });

  test('an indexed field', () => {
    expect(decodeBlock(createDecoder(), hex('82')).fields).toEqual([[':method', 'GET']]);
  });
});

describe('C.1 integers', () => {
  test.for([
    { value: 10, written: '2a' },
    { value: 1337, written: '3f 9a 0a' },
  ])('$value behind a prefix of 5 bits', ({ value, written }) => {
    const encoder = new HpackEncoder(4096);
    encoder.setPeerTableBytes(value);
    const out = Buffer.alloc(HpackEncoder.BEGIN_BOUND);
    expect(out.subarray(0, encoder.begin(out, 0))).toEqual(hex(written));
    expect(decodeBlock(createDecoder(), hex(written)).error).toBe('');
  });
});
