import { HpackDecoder } from '../../../../src/http/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../../../src/http/http2/hpack/encoder.ts';
import { FieldList } from '../../../../src/http/http2/hpack/field-list.ts';

/** A field as tests write it; the third part says that it may never be indexed. */
export type Field = readonly [name: string, value: string, sensitive?: boolean];

/** Limits that no test meets by accident. */
export const LIST_BYTES = 1024 * 1024;
export const MAX_FIELDS = 10_000;

export function createDecoder(tableBytes = 4096): HpackDecoder {
  return new HpackDecoder(tableBytes, LIST_BYTES, MAX_FIELDS);
}

/** The bytes of hexadecimal digits, with white space between them. */
export function hex(digits: string): Buffer {
  return Buffer.from(digits.replace(/\s+/g, ''), 'hex');
}

/** One block of the encoder. */
export function encodeBlock(encoder: HpackEncoder, fields: readonly Field[]): Buffer {
  const bound = fields.reduce((sum, [name, value]) => sum + HpackEncoder.bound(name, value), HpackEncoder.BEGIN_BOUND);
  const out = Buffer.alloc(bound);
  let at = encoder.begin(out, 0);
  for (const [name, value, sensitive = false] of fields) at = encoder.field(out, at, name, value, sensitive);
  if (at > bound) throw new Error(`${at} bytes of at most ${bound}`);
  return out.subarray(0, at);
}

export interface DecodedBlock {
  error: string;
  fields: [name: string, value: string][];
  list: FieldList;
}

/** Decodes a block that lies between other bytes, as in a connection's buffer. */
export function decodeBlock(decoder: HpackDecoder, block: Buffer, list = new FieldList()): DecodedBlock {
  const around = Buffer.concat([Buffer.alloc(3, 0x82), block, Buffer.alloc(3, 0x82)]);
  const error = decoder.decode(around, 3, 3 + block.length, list);
  return { error, list, fields: pairs(list) };
}

export function pairs(list: FieldList): [name: string, value: string][] {
  return list.names.slice(0, list.count).map((name, i) => [name, list.values[i] as string]);
}

/** What lies in the decoder's dynamic table, the newest first. */
export function dynamicEntries(decoder: HpackDecoder): [name: string, value: string][] {
  const entries: [name: string, value: string][] = [];
  for (let index = 62; index < 62 + 127; index++) {
    const block = index < 127 ? Buffer.from([0x80 | index]) : Buffer.from([0xff, index - 127]);
    const { error, fields } = decodeBlock(decoder, block);
    if (error !== '') break;
    entries.push(...fields);
  }
  return entries;
}
