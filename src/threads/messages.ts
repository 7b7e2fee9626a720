import type { WatchedThread } from '../filter/supervision.ts';
import type { ClusterView, DrainOptions, ListenerView } from '../observe/admin/view.ts';
import type { ContextCertificates } from '../observe/certificates.ts';
import type { Denial } from '../observe/denials.ts';
import type { LogLevel } from '../observe/log.ts';
import type { ProbeSettings, ThreadTimes } from '../observe/probe.ts';
import type { StatsSnapshot } from '../observe/stats-snapshot.ts';
import type { TapBatch, TapPoll } from '../observe/tap/tap-registry.ts';
import type { InheritedSockets, ListeningSockets, RetirementTerms } from '../proxy.ts';
import type { SpliceSettings } from '../splice-settings.ts';

/** What a worker thread is started with. */
export interface WorkerStart {
  readonly file: string;
  /** The configuration in canonical form, as JSON. */
  readonly config: string;
  readonly filterDir: string | undefined;
  readonly splice: SpliceSettings | undefined;
  readonly probe: ProbeSettings | undefined;
  readonly drainTimeMs: number;
  readonly logLevel: LogLevel;
  /** Ports that the first worker was given by the system, by listener name, for the others to share. */
  readonly ports: Readonly<Record<string, number>>;
  /** Whether this worker listens on Unix sockets, which only one can. */
  readonly servesPipes: boolean;
  /** Its place among the threads, from 0, and how many there are. */
  readonly slot: number;
  readonly threads: number;
  /** Listening descriptors that the thread before it in its place has left, by address; it takes copies. */
  readonly left: ReadonlyMap<string, readonly number[]>;
  /** Set when it takes sockets over from another process. */
  readonly inherited: InheritedSockets | undefined;
  readonly sharedPort: import('node:worker_threads').MessagePort;
}

/** What the main thread may ask of a worker, and what it answers. */
export interface WorkerCommands {
  stats: { argument: undefined; result: StatsSnapshot };
  resetCounters: { argument: undefined; result: undefined };
  listeners: { argument: undefined; result: readonly ListenerView[] };
  clusters: { argument: undefined; result: readonly ClusterView[] };
  threadTimes: { argument: undefined; result: readonly ThreadTimes[] };
  denials: { argument: undefined; result: readonly Denial[] };
  certificates: { argument: undefined; result: readonly ContextCertificates[] };
  tapConfigIds: { argument: undefined; result: readonly string[] };
  pollTap: { argument: TapPoll; result: TapBatch };
  detachTap: { argument: string; result: undefined };
  reload: { argument: string; result: 'unchanged' | 'updated' };
  failHealthChecks: { argument: boolean; result: undefined };
  drainListeners: { argument: DrainOptions; result: undefined };
  reopenLogs: { argument: undefined; result: undefined };
  adopt: { argument: HandedOver; result: boolean };
  open: { argument: undefined; result: undefined };
  listeningSockets: { argument: undefined; result: readonly ListeningSockets[] };
  retire: { argument: RetirementTerms; result: undefined };
  drain: { argument: undefined; result: undefined };
  close: { argument: undefined; result: undefined };
}

export type CommandName = keyof WorkerCommands;

export interface CommandMessage {
  readonly id: number;
  readonly name: CommandName;
  readonly argument: unknown;
}

export interface AnswerMessage {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A worker has loaded a custom filter: the main thread watches it from now on. */
export interface WatchedMessage {
  readonly watched: WatchedThread;
}

/** A connection that one worker has accepted and another one is to serve. */
export interface HandedOver {
  /** Where it was accepted. */
  readonly address: string;
  /** Whom it is counted for. */
  readonly slot: number;
  readonly fd: number;
}

export interface HandOverMessage {
  readonly handOver: HandedOver;
}

/** Listening descriptors that stay open when the worker crashes; none when they are closed. */
export interface KeepMessage {
  readonly keep: { readonly address: string; readonly descriptors: readonly number[] };
}

/** What a worker says unasked. */
export type Notice = WatchedMessage | HandOverMessage | KeepMessage;

/** A worker's first message: it serves. */
export interface ReadyMessage {
  readonly listeners: readonly { readonly name: string; readonly address: string; readonly port: number }[];
}
