import type { ContextCertificates } from '../certificates.ts';
import type { Denial } from '../denials.ts';
import type { ThreadTimes } from '../probe.ts';
import type { StatsSnapshot } from '../stats-snapshot.ts';
import type { TapBatch, TapPoll } from '../tap/tap-registry.ts';

/** Views may have to ask worker threads. */
export type Maybe<T> = T | Promise<T>;

export type ServerState = 'PRE_INITIALIZING' | 'INITIALIZING' | 'LIVE' | 'DRAINING';

export interface ListenerView {
  readonly name: string;
  /** Without brackets; the path of a pipe. */
  readonly address: string;
  /** 0 for a pipe. */
  readonly port: number;
  /** What it does, for the page: `http` or `tcp`. */
  readonly kind: 'http' | 'tcp';
  readonly activeConnections: number;
  /** The filters of its chains in order, terminal ones included. */
  readonly filterChains: readonly { readonly name: string; readonly filters: readonly string[] }[];
}

export interface EndpointView {
  /** `ip:port`, `[ip]:port` or the path of a pipe. */
  readonly address: string;
  readonly hostname: string;
  readonly healthy: boolean;
  /** Envoy's words: `healthy`, or `/failed_active_hc`, `/failed_outlier_check` and the like, joined. */
  readonly healthFlags: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: { readonly region: string; readonly zone: string; readonly sub_zone: string };
  /** Whether its metadata says so. */
  readonly canary: boolean;
  /** Percent of its requests that succeeded in the last interval of outlier detection; −1 when unknown. */
  readonly successRate: number;
  /** The same of attempts to reach it. */
  readonly localOriginSuccessRate: number;
  /** `cx_total`, `cx_active`, `cx_connect_fail`, `rq_total`, `rq_active`, `rq_error`, `rq_success`, `rq_timeout`. */
  readonly stats: Readonly<Record<string, number>>;
}

/** Limits of a cluster's circuit breaker for one priority. */
export interface LimitsView {
  readonly max_connections: number;
  readonly max_pending_requests: number;
  readonly max_requests: number;
  readonly max_retries: number;
}

/** What outlier detection compared success rates with in its last interval, percent; −1 when it could not. */
export interface OutlierView {
  readonly success_rate_average: number;
  readonly success_rate_ejection_threshold: number;
  readonly local_origin_success_rate_average: number;
  readonly local_origin_success_rate_ejection_threshold: number;
}

export interface ClusterView {
  readonly name: string;
  /** `STATIC`, `STRICT_DNS`, … */
  readonly type: string;
  readonly limits: { readonly default: LimitsView; readonly high: LimitsView };
  /** Undefined without outlier detection. */
  readonly outlier?: OutlierView | undefined;
  readonly endpoints: readonly EndpointView[];
}

/** The running configuration in protobuf's JSON form (`@type`, durations as `1.5s`), before secrets are redacted. */
export interface ConfigView {
  readonly bootstrap: Readonly<Record<string, unknown>>;
  readonly hash: string;
  /** When it took effect, milliseconds since the epoch. */
  readonly loadedAtEpochMs: number;
}

export interface DrainOptions {
  /** Only listeners whose `traffic_direction` is INBOUND. */
  readonly inboundOnly: boolean;
  /** Listeners go on accepting for the drain time, while connections are asked to end. */
  readonly graceful: boolean;
  /** They never stop accepting. */
  readonly skipExit: boolean;
}

/** This process's place in a chain of hot restarts. */
export interface RestartView {
  readonly version: string;
  /** As the command line gives it, or counted. */
  readonly epoch: number;
  /** Counted from 1. */
  readonly generation: number;
  /** When the first process of the chain started, milliseconds since the epoch. */
  readonly firstStartedAtEpochMs: number;
}

/** What the admin server must know of the proxy, and what it may ask of it. */
export interface ProxyView {
  readonly version: string;
  readonly startedAtEpochMs: number;
  /** Undefined where hot restarts are off. */
  readonly restart?: RestartView;
  readonly node: { readonly id: string; readonly cluster: string };
  /** What the command line said, for `/server_info`. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** DRAINING also while health checks are failed from outside, as in Envoy. */
  state(): ServerState;
  stats(): Maybe<StatsSnapshot>;
  resetCounters(): Maybe<void>;
  listeners(): Maybe<readonly ListenerView[]>;
  clusters(): Maybe<readonly ClusterView[]>;
  /** Of each thread that times its components; empty when none does. */
  threadTimes(): Maybe<readonly ThreadTimes[]>;
  /** The newest first. */
  denials(): Maybe<readonly Denial[]>;
  /** What `POST /tap` may attach to. */
  tapConfigIds(): Maybe<readonly string[]>;
  /** Traces since the reader's last visit; the first one attaches it. */
  pollTap(poll: TapPoll): Maybe<TapBatch>;
  detachTap(reader: string): Maybe<void>;
  config(): ConfigView;
  /** By TLS context, of listeners and clusters. */
  certificates(): Maybe<readonly ContextCertificates[]>;
  /** Names of what start-up still waits for. */
  pendingInit(): readonly string[];
  /** Makes the health-check filter, and `/ready`, answer that this proxy is not healthy, or takes that back. */
  failHealthChecks(fail: boolean): void;
  drainListeners(options: DrainOptions): void;
  reopenLogs(): void;
  /** Begins the orderly end of the process. */
  quit(): void;
}
