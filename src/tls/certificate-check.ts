import type { X509Certificate } from 'node:crypto';
import type { DataSource } from '../config/schema/core.ts';
import type { SpiffeValidatorConfig } from '../config/schema/spiffe.ts';
import type { CertificateValidationContext } from '../config/schema/tls.ts';
import { CertificatePins } from './certificate-pins.ts';
import { createChainAuthority } from './chain-authority.ts';
import { compileNameMatchers, coversHost, type NameMatcher, type PeerNames, peerNames } from './peer-names.ts';
import { SourceReader } from './secrets/source-reader.ts';
import type { SecureSocket } from './secure-socket.ts';
import { SpiffeAuthority } from './spiffe/spiffe-authority.ts';
import { NO_CERTIFICATE, type TlsFailure, untrusted, WRONG_PIN } from './tls-failure.ts';

/** The verdict on a peer. */
export interface Verdict {
  /** Why the connection must end; undefined when it may go on. */
  readonly failure: TlsFailure | undefined;
  /** Whether a trusted authority vouches for the certificate, and its names are as configured. */
  readonly verified: boolean;
  readonly names: PeerNames;
}

/** Reads a data source. @throws TlsLoadError */
export type ReadSource = (source: DataSource, what: string) => Buffer;

/** Who vouches for certificates. */
export interface Authority {
  /** Undefined when somebody does. Called for resumed sessions too: what was good then may not be good now. */
  refusal(socket: SecureSocket, certificate: X509Certificate, names: PeerNames): TlsFailure | undefined;
  /** What is said of a certificate without a name that is wanted. */
  wrongName(names: PeerNames, certificate: X509Certificate): TlsFailure;
}

const NO_NAMES: PeerNames = { dns: [], uri: [], ip: [], email: [], all: [] };
const UNKNOWN: Verdict = { failure: undefined, verified: false, names: NO_NAMES };
const REFUSED: Verdict = { failure: NO_CERTIFICATE, verified: false, names: NO_NAMES };

/** Whether a context wants to know who its peer is. */
export function asksForCertificate(config: CertificateValidationContext | undefined): boolean {
  return (
    config !== undefined &&
    (config.trusted_ca !== undefined ||
      config.custom_validator_config !== undefined ||
      config.verify_certificate_hash.length > 0 ||
      config.verify_certificate_spki.length > 0)
  );
}

/** Whom a context believes: authority, names, pins. A resumed session is judged like a first one. */
export class CertificateCheck {
  private readonly authority: Authority | undefined;
  private readonly pins: CertificatePins | undefined;
  private readonly acceptsUntrusted: boolean;
  private readonly required: boolean;
  private readonly matches: NameMatcher | undefined;
  private readonly namesServer: boolean;

  /**
   * @param required whether a peer without a certificate is refused.
   * @param namesServer whether the certificate must hold for the server name that was asked for, and nothing else.
   * @param peer what the peers are.
   * @throws TlsLoadError, RegexError
   */
  constructor(
    config: CertificateValidationContext | undefined,
    required: boolean,
    namesServer = false,
    peer: 'client' | 'server' = 'client',
  ) {
    const reader = new SourceReader();
    const read: ReadSource = (source, what) => reader.read(source, what);
    const spiffe = config?.custom_validator_config?.typed_config.value as SpiffeValidatorConfig | undefined;
    this.authority =
      config === undefined
        ? undefined
        : spiffe === undefined
          ? createChainAuthority(config, peer, read)
          : new SpiffeAuthority(spiffe, config, peer, read);
    this.pins = CertificatePins.from(config);
    this.acceptsUntrusted = config?.trust_chain_verification === 'ACCEPT_UNTRUSTED';
    // As in Envoy, SPIFFE knows no peer without an identity.
    this.required = required || spiffe !== undefined;
    this.matches = compileNameMatchers(config?.match_typed_subject_alt_names ?? []);
    this.namesServer = namesServer;
  }

  judge(socket: SecureSocket, certificate: X509Certificate | undefined, serverName: string): Verdict {
    if (certificate === undefined) return this.required ? REFUSED : UNKNOWN;
    try {
      return this.judgeCertificate(socket, certificate, serverName);
    } catch (error) {
      // Its bytes are the peer's choice, or its authority's: what is odd in them is its end alone.
      const failure = untrusted(`certificate cannot be read: ${(error as Error).message}`);
      return { failure, verified: false, names: NO_NAMES };
    }
  }

  /** @throws Error for a certificate that cannot be read */
  private judgeCertificate(socket: SecureSocket, certificate: X509Certificate, serverName: string): Verdict {
    const names = peerNames(certificate);
    const failure = this.refusal(socket, certificate, names, serverName);
    if (failure === undefined)
      return { failure, verified: this.authority !== undefined || this.pins !== undefined, names };
    // Envoy lets those in whom nobody vouches for, not those with another name.
    const isLetIn =
      this.acceptsUntrusted && failure.kind === 'fail_verify_error' && (this.pins?.hold(certificate) ?? true);
    return { failure: isLetIn ? undefined : failure, verified: false, names };
  }

  private refusal(
    socket: SecureSocket,
    certificate: X509Certificate,
    names: PeerNames,
    serverName: string,
  ): TlsFailure | undefined {
    const { authority, pins } = this;
    if (authority !== undefined) {
      const refusal = authority.refusal(socket, certificate, names);
      if (refusal !== undefined) return refusal;
      const isRight = this.namesServer
        ? names.dns.some((name) => coversHost(name, serverName))
        : (this.matches?.(names, certificate) ?? true);
      if (!isRight) return authority.wrongName(names, certificate);
    }
    return pins === undefined || pins.hold(certificate) ? undefined : WRONG_PIN;
  }
}
