import type { PathConfigSource, SdsSecretConfig } from '../../config/schema/config-source.ts';
import type { Secret } from '../../config/schema/secret.ts';
import { watchFiles } from '../../config/watch-files.ts';
import type { Logger } from '../../filter/env.ts';
import type { Counter, Gauge, StatsScope } from '../../observe/stats.ts';
import { checkSecret } from './check-secret.ts';
import { parseSecret, readSecretFile, SecretFileError, type SecretKind } from './sds-file.ts';
import { SourceReader } from './source-reader.ts';
import { WorkloadAgent, WorkloadSecret } from './workload-secret.ts';

/** Who uses a secret; called after each new version. */
export type SecretUser = () => void;

/** The `sds.<name>.*` statistics under Envoy's names. */
export class SdsStats {
  readonly attempt: Counter;
  readonly success: Counter;
  readonly failure: Counter;
  readonly rejected: Counter;
  readonly updateTime: Gauge;

  constructor(root: StatsScope, name: string) {
    const scope = root.scope('sds').scope(name);
    this.attempt = scope.counter('update_attempt');
    this.success = scope.counter('update_success');
    this.failure = scope.counter('update_failure');
    this.rejected = scope.counter('update_rejected');
    this.updateTime = scope.gauge('update_time');
  }
}

/** A secret that is not written in the configuration, and its latest good version. */
export interface DiscoveredSecret {
  readonly name: string;
  /** Undefined until there is a first good version. */
  readonly current: Secret | undefined;
  /** Why there is none. */
  readonly problem: string;
  readonly users: Set<SecretUser>;
  close(): void;
}

/** One secret in one file. A version that is broken changes nothing. */
export class SdsSecret implements DiscoveredSecret {
  readonly name: string;
  /** Undefined until a first good version was read. */
  current: Secret | undefined = undefined;
  /** Why there is none. */
  problem = '';
  readonly users = new Set<SecretUser>();
  private readonly path: string;
  private readonly kind: SecretKind;
  private readonly stats: SdsStats;
  private readonly log: Logger;
  private readonly source: PathConfigSource;
  private fingerprint = '';
  /** What the file said last, or why it could not be read: other events in its folder change nothing. */
  private seen = '';
  /** What the files of a version hold that cannot be used; they are followed until it can. */
  private unusable: SourceReader | undefined = undefined;
  private watched = '';
  private unwatch: () => void = () => {};

  constructor(name: string, source: PathConfigSource, kind: SecretKind, stats: SdsStats, log: Logger) {
    this.name = name;
    this.path = source.path;
    this.source = source;
    this.kind = kind;
    this.stats = stats;
    this.log = log;
    // Before it is read, so that no change in between is missed.
    this.follow();
    this.update();
  }

  private follow(): void {
    const { path, watched_directory: folder } = this.source;
    const paths = [folder?.path ?? path, ...(this.unusable?.watched ?? [])];
    if (this.watched === paths.join('\n')) return;
    this.unwatch();
    this.watched = paths.join('\n');
    this.unwatch = watchFiles(paths, () => this.update());
  }

  private update(): void {
    let text: string | Error;
    try {
      text = readSecretFile(this.path);
    } catch (error) {
      text = error as Error;
    }
    if (String(text) === this.seen && this.unusable?.changed() !== true) return;
    this.seen = String(text);
    this.unusable = undefined;
    this.stats.attempt.inc();
    try {
      if (typeof text !== 'string') throw text;
      this.take(text);
      this.stats.success.inc();
      this.stats.updateTime.set(Date.now());
    } catch (error) {
      this.refuse(error as Error);
    }
    this.follow();
  }

  private take(text: string): void {
    const { secret, fingerprint } = parseSecret(text, this.path, this.name, this.kind);
    if (fingerprint === this.fingerprint) return;
    const reader = new SourceReader();
    this.unusable = reader;
    checkSecret(secret, reader);
    this.unusable = undefined;
    this.current = secret;
    this.fingerprint = fingerprint;
    this.problem = '';
    for (const user of [...this.users]) user();
  }

  private refuse(error: Error): void {
    if (error instanceof SecretFileError) this.stats.failure.inc();
    else this.stats.rejected.inc();
    this.problem = error.message;
    this.log.warn(this.current === undefined ? 'a secret is missing' : 'a secret was refused, the old one stays', {
      secret: this.name,
      reason: error.message,
    });
  }

  close(): void {
    this.unwatch();
  }
}

/** The secrets of one thread's proxy that are not written in its configuration: one each, however many contexts use it. */
export class SecretStore {
  private readonly root: StatsScope;
  private readonly log: Logger;
  private readonly secrets = new Map<string, DiscoveredSecret>();
  private readonly agents = new Map<string, WorkloadAgent>();

  constructor(root: StatsScope, log: Logger) {
    this.root = root;
    this.log = log;
  }

  /** The secret that a configuration names; `user` is called after each change, until `release`. */
  use(config: SdsSecretConfig, kind: SecretKind, user: SecretUser): DiscoveredSecret {
    const key = JSON.stringify([kind, config.name, config.sds_config]);
    let secret = this.secrets.get(key);
    if (secret === undefined) {
      secret = this.create(config, kind);
      this.secrets.set(key, secret);
    }
    secret.users.add(user);
    return secret;
  }

  private create({ name, sds_config: source }: SdsSecretConfig, kind: SecretKind): DiscoveredSecret {
    const { path_config_source: file, api_config_source: api } = source;
    const stats = new SdsStats(this.root, name);
    if (file !== undefined) return new SdsSecret(name, file, kind, stats, this.log);
    const target = api?.grpc_services[0]?.google_grpc?.target_uri ?? '';
    const socketPath = target.replace(/^unix:(\/\/)?/, '');
    let agent = this.agents.get(socketPath);
    if (agent === undefined) {
      agent = new WorkloadAgent(socketPath);
      this.agents.set(socketPath, agent);
    }
    return new WorkloadSecret(name, kind, agent, stats, this.log);
  }

  release(secret: DiscoveredSecret, user: SecretUser): void {
    secret.users.delete(user);
    if (secret.users.size > 0) return;
    secret.close();
    for (const [key, other] of this.secrets) if (other === secret) this.secrets.delete(key);
  }
}

const stores = new WeakMap<StatsScope, SecretStore>();

/** The store of the proxy whose statistics these are. */
export function secretStoreOf(root: StatsScope, log: Logger): SecretStore {
  let store = stores.get(root);
  if (store === undefined) {
    store = new SecretStore(root, log);
    stores.set(root, store);
  }
  return store;
}
