import type { X509Certificate } from 'node:crypto';
import { certificateFacts, KEY_USAGE } from '../certificate-facts.ts';
import type { PeerNames } from '../peer-names.ts';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts';

/** Why a certificate is no X.509-SVID of a workload. */
export class SvidProblem {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

const SIGNS = KEY_USAGE.keyCertSign | KEY_USAGE.crlSign;

/** The identity in a workload's certificate (X.509-SVID §2, §4.1, §4.3, §5.2). @throws DerError */
export function readSvid(certificate: X509Certificate, names: PeerNames): SpiffeId | SvidProblem {
  const { isAuthority, keyUsage } = certificateFacts(certificate);
  // Envoy tells all of this in these words. A key without limits may sign certificates too.
  if (isAuthority || keyUsage === undefined || (keyUsage & SIGNS) !== 0) return new SvidProblem('cert precheck');
  if ((keyUsage & KEY_USAGE.digitalSignature) === 0) {
    return new SvidProblem('cert precheck: the key may not sign');
  }
  if (names.uri.length > 1) return new SvidProblem('cert precheck: more than one URI SAN');
  const id = parseSpiffeId(names.uri[0] ?? '');
  // As in Envoy, who has no identity has no trust domain that could vouch for it.
  return id === undefined || id.path === '' ? new SvidProblem('no trust bundle store') : id;
}
