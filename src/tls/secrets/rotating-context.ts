import type { CommonTlsContext, DownstreamTlsContext } from '../../config/schema/tls.ts';
import { watchFiles } from '../../config/watch-files.ts';
import type { Logger } from '../../filter/env.ts';
import { type ContextCertificates, certificatesOf } from '../../observe/certificates.ts';
import type { Counter, StatsScope } from '../../observe/stats.ts';
import { ContextSecrets, type ResolvedContext } from './resolved-context.ts';
import { secretStoreOf } from './secret-store.ts';
import { SourceReader, TlsLoadError } from './source-reader.ts';

/** What one TLS context is made of, and for whom. */
export interface ContextSpec {
  /** For errors and the log: `listener http`. */
  readonly owner: string;
  readonly side: 'server' | 'client';
  readonly common: CommonTlsContext;
  readonly tickets: Partial<
    Pick<DownstreamTlsContext, 'session_ticket_keys' | 'session_ticket_keys_sds_secret_config'>
  >;
  /** The listener's or cluster's. */
  readonly scope: StatsScope;
  readonly log: Logger;
}

/** Reads what a context shows (certificates, keys) and what it believes (authorities, revocation lists), apart. */
export interface ContextReaders {
  readonly shown: SourceReader;
  readonly trusted: SourceReader;
}

/** What is made of a context. */
export interface MadeContext {
  readonly certificates: ContextCertificates;
  /** Seconds since the epoch by the name of each certificate, for the statistics. */
  readonly expirations: ReadonlyMap<string, number>;
}

/** Statistics of contexts under Envoy's names, and the counts of files that Envoy does not follow. */
class RotationStats {
  readonly updatedBySds: Counter;
  readonly notReady: Counter;
  readonly updated: Counter;
  readonly rejected: Counter;

  constructor(scope: StatsScope, side: 'server' | 'client') {
    const factory = scope.scope(`${side}_ssl_socket_factory`);
    this.updatedBySds = factory.counter('ssl_context_update_by_sds');
    this.notReady = factory.counter(`${side === 'server' ? 'down' : 'up'}stream_context_secrets_not_ready`);
    this.updated = scope.counter('ssl.context_update_success');
    this.rejected = scope.counter('ssl.context_update_rejected');
  }
}

/**
 * A TLS context that follows its files and secrets. Each change makes a new one, which new handshakes take; connections
 * that are open, and handshakes under way, never notice. While what the files say cannot be used, the last good context
 * stays.
 */
export class RotatingContext<T extends MadeContext> {
  /** Undefined while a secret is missing. */
  current: T | undefined = undefined;
  /** Why there is no context, for a handshake that cannot begin. */
  problem = '';
  private readonly spec: ContextSpec;
  private readonly make: (resolved: ResolvedContext, readers: ContextReaders) => T;
  private readonly secrets: ContextSecrets;
  private readonly stats: RotationStats;
  private readers: ContextReaders = { shown: new SourceReader(), trusted: new SourceReader() };
  private watched = '';
  private unwatch: () => void = () => {};

  /** @throws TlsLoadError, RegexError for what the configuration itself names and cannot be used */
  constructor(spec: ContextSpec, make: (resolved: ResolvedContext, readers: ContextReaders) => T) {
    this.spec = spec;
    this.make = make;
    this.stats = new RotationStats(spec.scope, spec.side);
    const store = secretStoreOf(spec.scope.root, spec.log);
    this.secrets = new ContextSecrets(spec.common, spec.tickets, store, this.onSecret);
    try {
      this.begin();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private begin(): void {
    const { missing, all } = this.secrets;
    if (missing !== undefined) {
      this.notReady(`secret ${missing.name} is missing: ${missing.problem}`);
      return;
    }
    try {
      this.replace();
      if (all.length > 0) this.stats.updatedBySds.inc();
    } catch (error) {
      if (all.length === 0 || !(error instanceof TlsLoadError)) throw error;
      this.notReady(error.message);
    }
    // What changed while it was read is read again.
    if (this.hasChanged()) this.onFiles();
  }

  private notReady(problem: string): void {
    this.problem = problem;
    this.spec.log.warn('handshakes fail until the secret is there', { context: this.spec.owner, reason: problem });
  }

  /** Makes the context anew. @throws TlsLoadError and leaves everything as it was */
  private replace(): void {
    const readers = { shown: new SourceReader(), trusted: new SourceReader() };
    try {
      const made = this.make(this.secrets.resolve(), readers);
      this.current = made;
      this.problem = '';
      const { scope } = this.spec;
      for (const [name, seconds] of made.expirations) {
        scope.gauge(`ssl.certificate.${name}.expiration_unix_time_seconds`).set(seconds);
      }
      certificatesOf(scope.root).set(this, made.certificates);
    } finally {
      // Those of a version that was refused too: the next good one may come from there.
      this.follow(readers);
    }
  }

  private follow(readers: ContextReaders): void {
    this.readers = readers;
    const paths = [...new Set([...readers.shown.watched, ...readers.trusted.watched])];
    const watched = paths.join('\n');
    if (watched === this.watched) return;
    this.unwatch();
    this.watched = watched;
    this.unwatch = paths.length === 0 ? () => {} : watchFiles(paths, () => this.onFiles());
  }

  private hasChanged(): boolean {
    return this.readers.shown.changed() || this.readers.trusted.changed();
  }

  /** Something happened in a folder of a file. */
  private onFiles(): void {
    if (!this.hasChanged()) return;
    try {
      this.replace();
      this.stats.updated.inc();
      this.spec.log.info('TLS context made anew, its files have changed', { context: this.spec.owner });
    } catch (error) {
      this.stats.rejected.inc();
      for (const { name } of this.secrets.all) {
        this.spec.scope.root.counter(`sds.${name}.key_rotation_failed`).inc();
      }
      this.refused(error);
    }
  }

  /** A secret has a new version, which was found good by itself. */
  private readonly onSecret = (): void => {
    if (this.secrets.missing !== undefined) return;
    try {
      this.replace();
      this.stats.updatedBySds.inc();
      this.spec.log.info('TLS context made anew, a secret has changed', { context: this.spec.owner });
    } catch (error) {
      this.stats.rejected.inc();
      this.refused(error);
    }
  };

  private refused(error: unknown): void {
    const reason = (error as Error).message;
    if (this.current === undefined) this.problem = reason;
    this.spec.log.warn('a new version of TLS files was refused, the old one stays', {
      context: this.spec.owner,
      reason,
    });
  }

  /** A handshake could not begin. */
  countNotReady(): void {
    this.stats.notReady.inc();
  }

  /** Follows nothing any more; what was made stays. */
  close(): void {
    this.unwatch();
    this.unwatch = () => {};
    this.secrets.close();
    certificatesOf(this.spec.scope.root).set(this, undefined);
  }
}
