import type { HeaderMap } from '../headers.ts';
import { KNOWN, presenceBit } from '../http1/header-names.ts';
import { type FieldList, PSEUDO } from './hpack/field-list.ts';
import { neverIndex } from './request-fields.ts';

/** Fields that frame or route a message: in trailers they could only deceive (RFC 9110 §6.5.1). */
const NOT_IN_TRAILERS =
  (1 << KNOWN.HOST) |
  (1 << KNOWN.CONNECTION) |
  (1 << KNOWN.KEEP_ALIVE) |
  (1 << KNOWN.PROXY_CONNECTION) |
  (1 << KNOWN.TRANSFER_ENCODING) |
  (1 << KNOWN.UPGRADE) |
  (1 << KNOWN.CONTENT_LENGTH);

/** Reads trailers into `trailers`; why they are malformed (RFC 9113 §8.1), '' when they are not. */
export function readTrailerFields(fields: FieldList, trailers: HeaderMap): string {
  if (fields.malformed !== '') return fields.malformed;
  if (fields.tooLarge) return 'trailers_too_large';
  for (let i = 0; i < fields.count; i++) {
    const id = fields.known[i] as number;
    if (id >= PSEUDO.METHOD) return 'pseudo_header_in_trailers';
    if ((presenceBit(id) & NOT_IN_TRAILERS) !== 0) return 'forbidden_trailer';
    const name = fields.names[i] as string;
    trailers.append(name, fields.values[i] as string);
    if (fields.sensitive[i] === true) neverIndex(trailers, name);
  }
  return '';
}
