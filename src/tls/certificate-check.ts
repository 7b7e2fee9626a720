import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { CertificateValidationContext } from '../config/schema/tls.ts';
import { compileNameMatchers, coversHost, type NameMatcher, type PeerNames, peerNames } from './peer-names.ts';
import { NO_CERTIFICATE, type TlsFailure, untrusted, wrongName } from './tls-failure.ts';
import { verifyProblem } from './tls-internals.ts';

/** The verdict on a peer. */
export interface Verdict {
  /** Why the connection must end; undefined when it may go on. */
  readonly failure: TlsFailure | undefined;
  /** Whether a trusted authority vouches for the certificate, and its names are as configured. */
  readonly verified: boolean;
  readonly names: PeerNames;
}

const NO_NAMES: PeerNames = { dns: [], uri: [], ip: [], email: [], all: [] };
const UNKNOWN: Verdict = { failure: undefined, verified: false, names: NO_NAMES };
const REFUSED: Verdict = { failure: NO_CERTIFICATE, verified: false, names: NO_NAMES };

/** Whom a context believes: authority, validity and names. OpenSSL has checked the chain; this judges what it found. */
export class CertificateCheck {
  private readonly asksAuthority: boolean;
  private readonly acceptsUntrusted: boolean;
  private readonly required: boolean;
  private readonly matches: NameMatcher | undefined;
  private readonly namesServer: boolean;

  /**
   * @param required whether a peer without a certificate is refused.
   * @param namesServer whether the certificate must hold for the server name that was asked for, and nothing else.
   * @throws RegexError
   */
  constructor(config: CertificateValidationContext | undefined, required: boolean, namesServer = false) {
    this.asksAuthority = config?.trusted_ca !== undefined;
    this.acceptsUntrusted = config?.trust_chain_verification === 'ACCEPT_UNTRUSTED';
    this.required = required;
    this.matches = compileNameMatchers(config?.match_typed_subject_alt_names ?? []);
    this.namesServer = namesServer;
  }

  judge(socket: TLSSocket, certificate: X509Certificate | undefined, serverName: string): Verdict {
    if (certificate === undefined) return this.required ? REFUSED : UNKNOWN;
    const names = peerNames(certificate);
    if (!this.asksAuthority) return { failure: undefined, verified: false, names };
    const problem = verifyProblem(socket) ?? expiry(certificate);
    if (problem !== undefined) {
      return { failure: this.acceptsUntrusted ? undefined : untrusted(problem), verified: false, names };
    }
    const right = this.namesServer
      ? names.dns.some((name) => coversHost(name, serverName))
      : (this.matches?.(names) ?? true);
    return { failure: right ? undefined : wrongName(names.all), verified: right, names };
  }
}

/** A resumed session brings the verdict of its first handshake along: the certificate may have expired since. */
function expiry(certificate: X509Certificate): string | undefined {
  return certificate.validToDate.getTime() < Date.now() ? 'certificate has expired' : undefined;
}
