import type { Secret } from '../../config/schema/secret.ts';
import { readAuthorities, readKeyPair, readRevocationLists } from './pem.ts';
import { SourceReader } from './source-reader.ts';
import { readTicketKeys } from './ticket-keys.ts';

/** Reads what a secret names, to find out whether it can be used. @throws TlsLoadError */
export function checkSecret(secret: Secret, reader = new SourceReader()): void {
  const { tls_certificate: certificate, validation_context: validation, session_ticket_keys: keys } = secret;
  if (certificate !== undefined) readKeyPair(certificate, 'tls_certificate', reader);
  if (validation?.trusted_ca !== undefined) readAuthorities(validation.trusted_ca, reader);
  if (validation?.crl !== undefined) readRevocationLists(validation.crl, reader);
  if (keys !== undefined) readTicketKeys(keys, reader);
}
