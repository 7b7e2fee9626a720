import * as v from 'valibot';
import { headerName } from './scalars.ts';
import type { Schema } from './schema.ts';

/** What says where a message and its body end: taken from the client, or written from a claim, it would end elsewhere. */
const FRAMING = /^(?:connection|content-length|te|trailer|transfer-encoding|upgrade)$/;

/** A header that is written for the app: a pseudo-header or Host would change where the request goes. */
export function writtenHeader(): Schema<string> {
  return v.pipe(
    headerName(),
    v.check(
      (name) => name === '' || (/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) && name !== 'host'),
      'must be a header name such as x-jwt-sub, not a pseudo-header or host',
    ),
    v.check((name) => !FRAMING.test(name), 'must be a header name such as x-jwt-sub, not one that frames the message'),
  );
}
