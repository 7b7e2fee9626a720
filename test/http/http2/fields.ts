import { HpackDecoder } from '../../../src/http/http2/hpack/decoder.ts';
import { FieldList } from '../../../src/http/http2/hpack/field-list.ts';
import { literal } from '../../support/http2/hpack.ts';

/** A field, or one that may never be indexed. */
export type TestField = readonly [name: string, value: string, kind?: 'never'];

/** The list that the decoder makes of a block with these fields. @throws when the block is wrong */
export function fieldList(
  fields: readonly TestField[],
  limits: { readonly maxListBytes?: number; readonly maxFields?: number } = {},
): FieldList {
  const block = Buffer.concat(fields.map(([name, value, kind]) => literal(name, value, kind)));
  const list = new FieldList();
  const decoder = new HpackDecoder(4096, limits.maxListBytes ?? 60 * 1024, limits.maxFields ?? 100);
  const error = decoder.decode(block, 0, block.length, list);
  if (error !== '') throw new Error(error);
  return list;
}
