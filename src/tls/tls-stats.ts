import type { Counter, StatsScope } from '../observe/stats.ts';
import type { TlsFailure } from './tls-failure.ts';

/** The `ssl.*` statistics of a listener or a cluster under Envoy's names. */
export class TlsStats {
  readonly connectionError: Counter;
  readonly handshake: Counter;
  readonly sessionReused: Counter;
  readonly noCertificate: Counter;
  readonly failVerifyNoCert: Counter;
  readonly failVerifyError: Counter;
  readonly failVerifySan: Counter;
  readonly failVerifyCertHash: Counter;
  private readonly scope: StatsScope;
  private readonly dynamic = new Map<string, Counter>();

  /** @param owner the scope of the listener or cluster. */
  constructor(owner: StatsScope) {
    this.scope = owner.scope('ssl');
    this.connectionError = this.scope.counter('connection_error');
    this.handshake = this.scope.counter('handshake');
    this.sessionReused = this.scope.counter('session_reused');
    this.noCertificate = this.scope.counter('no_certificate');
    this.failVerifyNoCert = this.scope.counter('fail_verify_no_cert');
    this.failVerifyError = this.scope.counter('fail_verify_error');
    this.failVerifySan = this.scope.counter('fail_verify_san');
    this.failVerifyCertHash = this.scope.counter('fail_verify_cert_hash');
  }

  /** Counts a finished handshake by what it agreed on; an empty curve is not known. */
  countHandshake(version: string, cipher: string, curve: string, reused: boolean): void {
    this.handshake.inc();
    if (reused) this.sessionReused.inc();
    this.count('versions', version);
    this.count('ciphers', cipher);
    if (curve !== '') this.count('curves', curve);
  }

  /** Counts a handshake that failed; for a peer that went away or was too slow there is no statistic of TLS. */
  countFailure(kind: TlsFailure['kind']): void {
    switch (kind) {
      case 'connection_error':
        this.connectionError.inc();
        break;
      case 'fail_verify_no_cert':
        this.failVerifyNoCert.inc();
        break;
      case 'fail_verify_error':
        this.failVerifyError.inc();
        break;
      case 'fail_verify_san':
        this.failVerifySan.inc();
        break;
      case 'fail_verify_cert_hash':
        this.failVerifyCertHash.inc();
        break;
      default:
    }
  }

  /** Counts an error of a connection after its handshake, if it is one of TLS: a record that is wrong, an alert. */
  countError({ code }: NodeJS.ErrnoException): void {
    if (code?.startsWith('ERR_SSL_') === true) this.connectionError.inc();
  }

  private count(group: string, value: string): void {
    const name = `${group}.${value}`;
    let counter = this.dynamic.get(name);
    if (counter === undefined) {
      counter = this.scope.counter(name);
      this.dynamic.set(name, counter);
    }
    counter.inc();
  }
}
