import { KNOWN, presenceBit } from '../http1/header-names.ts';
import type { ResponseHead } from '../message.ts';
import { statusOf } from './field-values.ts';
import { type FieldList, PSEUDO } from './hpack/field-list.ts';
import { neverIndex } from './request-fields.ts';

/** Connection-specific fields, which make a message malformed (RFC 9113 §8.2.2). */
const CONNECTION_SPECIFIC =
  (1 << KNOWN.CONNECTION) |
  (1 << KNOWN.KEEP_ALIVE) |
  (1 << KNOWN.PROXY_CONNECTION) |
  (1 << KNOWN.TRANSFER_ENCODING) |
  (1 << KNOWN.UPGRADE);

/** Reads the head of a response (RFC 9113 §8.3.2) into `head`; why it is malformed, '' when it is not. */
export function readResponseFields(fields: FieldList, head: ResponseHead): string {
  head.reset('');
  head.present = 0;
  if (fields.malformed !== '') return fields.malformed;
  if (fields.tooLarge) return 'response_headers_too_large';
  const { names, values, known, sensitive, count } = fields;
  if (count === 0 || known[0] !== PSEUDO.STATUS) return 'missing_status';
  const status = values[0] as string;
  head.status = statusOf(status);
  if (head.status < 0) return 'invalid_status';
  let present = 0;
  for (let i = 1; i < count; i++) {
    const id = known[i] as number;
    if (id >= PSEUDO.METHOD) return 'unexpected_pseudo_header';
    const bit = presenceBit(id);
    if ((bit & CONNECTION_SPECIFIC) !== 0) return 'connection_specific_header';
    const value = values[i] as string;
    if (id === KNOWN.CONTENT_LENGTH && (present & bit) !== 0) {
      if (head.get('content-length') !== value) return 'invalid_content_length';
      continue;
    }
    present |= bit;
    const name = names[i] as string;
    head.append(name, value);
    if (sensitive[i] === true) neverIndex(head, name);
  }
  head.present = present;
  return '';
}
