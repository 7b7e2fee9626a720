import type * as v from 'valibot';
import { jsonValue, list, message, oneof, optional, string, unsupported } from './building-blocks.ts';
import { CertificateValidation, TlsCertificate, TlsSessionTicketKeys } from './tls.ts';

/** envoy.extensions.transport_sockets.tls.v3.Secret: exactly one of a certificate, whom to believe, and ticket keys. */
export const Secret = message(
  {
    name: optional(string(), ''),
    tls_certificate: optional(TlsCertificate),
    validation_context: optional(CertificateValidation),
    session_ticket_keys: optional(TlsSessionTicketKeys),
  },
  oneof(['tls_certificate', 'validation_context', 'session_ticket_keys'], { required: true }),
  unsupported('no filter asks for secrets', 'generic_secret'),
);
export type Secret = v.InferOutput<typeof Secret>;

/** envoy.service.discovery.v3.DiscoveryResponse, as a file holds it; each resource says its `@type`. */
export const SecretFile = message({
  resources: optional(list(jsonValue()), []),
  version_info: optional(string(), ''),
  type_url: optional(string(), ''),
  nonce: optional(string(), ''),
});
export type SecretFile = v.InferOutput<typeof SecretFile>;
