import type { HttpConnectionManager } from '../config/schema/http-connection-manager.ts';
import type { TlsCertificates, TlsInfo } from '../observe/stream-info.ts';
import { KNOWN } from './http1/header-names.ts';
import type { RequestHead } from './message.ts';

const NAME = 'x-forwarded-client-cert';
const PRESENT = 1 << KNOWN.X_FORWARDED_CLIENT_CERT;

type Details = NonNullable<HttpConnectionManager['set_current_client_cert_details']>;

/**
 * Who tells the app which certificate the client has: `x-forwarded-client-cert`. Without a certificate of the client the
 * header is forged, and is taken out. The text for a connection is made with its first request.
 */
export class ForwardClientCert {
  private readonly mode: HttpConnectionManager['forward_client_cert_details'];
  private readonly details: Details | undefined;

  constructor(config: Pick<HttpConnectionManager, 'forward_client_cert_details' | 'set_current_client_cert_details'>) {
    this.mode = config.forward_client_cert_details;
    this.details = config.set_current_client_cert_details;
  }

  apply(request: RequestHead, tls: TlsInfo | undefined): void {
    const { mode } = this;
    if (mode === 'ALWAYS_FORWARD_ONLY') return;
    const certificates = tls?.certificates;
    const isPresent = (request.present & PRESENT) !== 0;
    if (mode === 'SANITIZE' || certificates?.peer === undefined) {
      if (isPresent) request.remove(NAME);
      return;
    }
    if (mode === 'FORWARD_ONLY') return;
    const text = this.textOf(certificates);
    const before = isPresent && mode === 'APPEND_FORWARD' ? request.get(NAME) : undefined;
    if (isPresent) request.remove(NAME);
    // The text has been looked at once; what came has been by the codec.
    request.append(NAME, before === undefined || before === '' ? text : `${before},${text}`);
  }

  private textOf(certificates: TlsCertificates): string {
    const { forwarded } = certificates;
    if (forwarded?.by === this) return forwarded.text;
    const text = elementOf(certificates, this.details);
    certificates.forwarded = { by: this, text };
    return text;
  }
}

/** One element of the header, its parts in Envoy's order. */
export function elementOf(certificates: TlsCertificates, details: Partial<Details> | undefined): string {
  const { peer, local } = certificates;
  if (peer === undefined) return '';
  const parts = (local?.uriSans ?? []).map((uri) => `By=${quoted(uri)}`);
  parts.push(`Hash=${peer.fingerprint256}`);
  if (details?.cert) parts.push(`Cert="${peer.encodedPem}"`);
  if (details?.chain) parts.push(`Chain="${certificates.peerChain.map(({ encodedPem }) => encodedPem).join('')}"`);
  // RFC 2253 has escaped quotes already.
  if (details?.subject) parts.push(`Subject="${printable(peer.subject)}"`);
  if (details?.uri) parts.push(...eachOf('URI', peer.uriSans));
  if (details?.dns) parts.push(...eachOf('DNS', peer.dnsSans));
  return parts.join(';');
}

/** As in Envoy, a certificate without any URI has an empty one; one without DNS names has no such part. */
function eachOf(key: string, values: readonly string[]): readonly string[] {
  if (values.length === 0) return key === 'URI' ? ['URI='] : [];
  return values.map((value) => `${key}=${quoted(value)}`);
}

/** What an authority wrote into a certificate must not read as another part or element: it is quoted then. */
function quoted(value: string): string {
  const text = printable(value);
  return /[,;"]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text;
}

/** What no header may carry is percent-encoded, byte by byte. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, (run) =>
    Array.from(Buffer.from(run), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
