import { X509Certificate } from 'node:crypto';
import { WireReader } from '../../http/grpc/wire-reader.ts';
import { DerReader } from '../der.ts';

/** One identity of a workload. */
export interface WorkloadSvid {
  readonly spiffeId: string;
  /** PEM: the workload's own certificate first. */
  readonly chainPem: string;
  /** PKCS #8 in PEM. */
  readonly keyPem: string;
  /** The authorities of its own trust domain, in PEM. */
  readonly bundlePem: string;
  /** What the operator calls it, '' for nothing. */
  readonly hint: string;
}

/** Who a workload is, and whom it may believe. */
export interface WorkloadIdentity {
  /** The first one is the one to use when nothing else is said. */
  readonly svids: readonly WorkloadSvid[];
  /** Authorities of other trust domains in PEM, by the name of the trust domain. */
  readonly federated: ReadonlyMap<string, string>;
  /** Revocation lists in PEM. */
  readonly revocationListsPem: string;
}

/**
 * Reads `X509SVIDResponse` (SPIFFE Workload API §5.2.1).
 * @throws WireError, DerError, or an Error for certificates that are none
 */
export function readX509SvidResponse(message: Buffer): WorkloadIdentity {
  const svids: WorkloadSvid[] = [];
  const federated = new Map<string, string>();
  let lists = '';
  const reader = new WireReader(message);
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        svids.push(readSvid(reader.message()));
        break;
      case 2:
        lists += pem('X509 CRL', reader.bytes());
        break;
      case 3: {
        const [name, bundle] = readFederated(reader.message());
        federated.set(name, bundle);
        break;
      }
      default:
        reader.skip();
    }
  }
  return { svids, federated, revocationListsPem: lists };
}

function readSvid(reader: WireReader): WorkloadSvid {
  const svid = { spiffeId: '', chainPem: '', keyPem: '', bundlePem: '', hint: '' };
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        svid.spiffeId = reader.text();
        break;
      case 2:
        svid.chainPem = certificates(reader.bytes());
        break;
      case 3:
        svid.keyPem = pem('PRIVATE KEY', reader.bytes());
        break;
      case 4:
        svid.bundlePem = certificates(reader.bytes());
        break;
      case 5:
        svid.hint = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  return svid;
}

/** An entry of the map: `spiffe://example.org` and its authorities. */
function readFederated(reader: WireReader): [name: string, bundle: string] {
  let name = '';
  let bundle = '';
  while (reader.next()) {
    if (reader.field === 1) name = reader.text().replace(/^spiffe:\/\//, '');
    else if (reader.field === 2) bundle = certificates(reader.bytes());
    else reader.skip();
  }
  return [name, bundle];
}

/** Certificates in DER, one behind the other, as PEM. */
function certificates(der: Buffer): string {
  const reader = new DerReader(der);
  let text = '';
  while (!reader.isAtEnd) text += new X509Certificate(reader.read().whole).toString();
  return text;
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
