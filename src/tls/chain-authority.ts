import { X509Certificate } from 'node:crypto';
import type { CertificateValidationContext } from '../config/schema/tls.ts';
import type { Authority, ReadSource } from './certificate-check.ts';
import { certificateFacts } from './certificate-facts.ts';
import { ChainVerifier } from './chain-verifier.ts';
import { DerError } from './der.ts';
import type { PeerNames } from './peer-names.ts';
import { RevocationList } from './revocation-list.ts';
import { TlsLoadError } from './secrets/source-reader.ts';
import type { SecureSocket } from './secure-socket.ts';
import { type TlsFailure, untrusted, wrongName } from './tls-failure.ts';
import { verifyProblem } from './tls-internals.ts';

/** Who vouches by `trusted_ca`; undefined without. @throws TlsLoadError */
export function createChainAuthority(
  config: CertificateValidationContext,
  peer: 'client' | 'server',
  read: ReadSource,
): Authority | undefined {
  const { trusted_ca: source, crl, allow_expired_certificate: ignoresTime, max_verify_depth: maxDepth } = config;
  if (source === undefined) return undefined;
  const revokesLeafOnly = crl !== undefined && config.only_verify_leaf_cert_crl;
  if (!ignoresTime && maxDepth === undefined && !revokesLeafOnly) return new OpenSslAuthority();
  const verifier = new ChainVerifier({
    anchors: certificatesIn(read(source, 'trusted_ca'), 'trusted_ca'),
    purpose: peer,
    ignoresTime,
    // Envoy counts the trusted authority too.
    maxDepth: maxDepth === undefined ? undefined : maxDepth - 1,
    revocationLists: crl === undefined ? [] : revocationListsIn(read(crl, 'crl'), 'crl'),
    revokesLeafOnly,
  });
  return new StricterAuthority(verifier, ignoresTime);
}

/** What OpenSSL found is all there is to say. */
class OpenSslAuthority implements Authority {
  refusal(socket: SecureSocket, certificate: X509Certificate): TlsFailure | undefined {
    const problem = verifyProblem(socket) ?? expiry(certificate);
    return problem === undefined ? undefined : untrusted(problem);
  }

  wrongName({ all }: PeerNames, certificate: X509Certificate): TlsFailure {
    return wrongName([...all, ...certificateFacts(certificate).otherNames.map(({ value }) => value)]);
  }
}

/** Texts of OpenSSL that only tell of time. */
const TIME_PROBLEMS = new Set(['certificate has expired', 'certificate is not yet valid']);

/** Rules that Node does not pass on to OpenSSL are looked at besides what OpenSSL says, not in its place. */
class StricterAuthority extends OpenSslAuthority {
  private readonly verifier: ChainVerifier;
  private readonly ignoresTime: boolean;

  constructor(verifier: ChainVerifier, ignoresTime: boolean) {
    super();
    this.verifier = verifier;
    this.ignoresTime = ignoresTime;
  }

  override refusal(socket: SecureSocket, certificate: X509Certificate): TlsFailure | undefined {
    const found = verifyProblem(socket) ?? (this.ignoresTime ? undefined : expiry(certificate));
    // OpenSSL tells the last problem alone: what hides behind one of time, the verifier finds.
    if (found !== undefined && !(this.ignoresTime && TIME_PROBLEMS.has(found))) return untrusted(found);
    const problem = this.verifier.problem(certificate, socket.isSessionReused());
    return problem === undefined ? undefined : untrusted(problem);
  }
}

/** A resumed session brings the verdict of its first handshake along: the certificate may have expired since. */
function expiry(certificate: X509Certificate): string | undefined {
  return certificate.validToDate.getTime() < Date.now() ? 'certificate has expired' : undefined;
}

/** The blocks of a PEM file that have a label. @throws TlsLoadError without any */
function pemBlocks(text: string, label: string, what: string): readonly string[] {
  const blocks = text.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, 'g'));
  if (blocks === null) throw new TlsLoadError(`${what} has no ${label} in PEM`);
  return blocks;
}

/** The certificates of a PEM file. @throws TlsLoadError without any, or with one that cannot be read */
export function certificatesIn(pem: Buffer, what: string): X509Certificate[] {
  return pemBlocks(pem.toString('latin1'), 'CERTIFICATE', what).map((block) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new TlsLoadError(`${what}: ${(error as Error).message}`);
    }
  });
}

/** The revocation lists of a PEM file. @throws TlsLoadError without any, or with one that cannot be read */
export function revocationListsIn(pem: Buffer, what: string): RevocationList[] {
  return pemBlocks(pem.toString('latin1'), 'X509 CRL', what).map((block) => {
    try {
      return new RevocationList(Buffer.from(block.replace(/-----[^-]+-----/g, ''), 'base64'));
    } catch (error) {
      if (error instanceof DerError) throw new TlsLoadError(`${what}: not a revocation list: ${error.message}`);
      throw error;
    }
  });
}
