import type { X509Certificate } from 'node:crypto';
import type { SpiffeValidatorConfig } from '../../config/schema/spiffe.ts';
import type { CertificateValidationContext } from '../../config/schema/tls.ts';
import type { Authority, ReadSource } from '../certificate-check.ts';
import { ChainVerifier } from '../chain-verifier.ts';
import { DerError } from '../der.ts';
import type { PeerNames } from '../peer-names.ts';
import type { SecureSocket } from '../secure-socket.ts';
import { notSpiffe, type TlsFailure, untrusted } from '../tls-failure.ts';
import { readSvid, SvidProblem } from './svid.ts';
import { loadTrustBundles, type TrustBundles } from './trust-bundles.ts';

/**
 * Envoy's SPIFFE validator: the trust domain in a certificate's name chooses the one bundle that it must chain to. What
 * OpenSSL says does not count here, since it knows no bundles; the chain is verified against that
 * bundle, for resumed sessions too. Other bundles are another authority.
 */
export class SpiffeAuthority implements Authority {
  private readonly ignoresTime: boolean;
  private readonly peer: 'client' | 'server';
  private readonly verifiers: ReadonlyMap<string, ChainVerifier>;

  /** @throws TlsLoadError */
  constructor(
    config: SpiffeValidatorConfig,
    context: CertificateValidationContext,
    peer: 'client' | 'server',
    read: ReadSource,
  ) {
    this.ignoresTime = context.allow_expired_certificate;
    this.peer = peer;
    this.verifiers = this.verifiersOf(loadTrustBundles(config, read));
  }

  private verifiersOf(bundles: TrustBundles): Map<string, ChainVerifier> {
    return new Map(
      [...bundles].map(([name, { authorities, revocationLists }]) => [
        name,
        new ChainVerifier({
          anchors: authorities,
          revocationLists,
          purpose: this.peer,
          ignoresTime: this.ignoresTime,
        }),
      ]),
    );
  }

  refusal(socket: SecureSocket, certificate: X509Certificate, names: PeerNames): TlsFailure | undefined {
    try {
      const id = readSvid(certificate, names);
      if (id instanceof SvidProblem) return notSpiffe(id.reason);
      const verifier = this.verifiers.get(id.trustDomain);
      if (verifier === undefined) return notSpiffe('no trust bundle store');
      const problem = verifier.problem(certificate, socket.isSessionReused());
      return problem === undefined ? undefined : untrusted(problem);
    } catch (error) {
      if (error instanceof DerError) return notSpiffe(`cert precheck: ${error.message}`);
      throw error;
    }
  }

  wrongName(): TlsFailure {
    return notSpiffe('SAN match', 'fail_verify_san');
  }
}
