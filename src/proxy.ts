import type { LoadedConfig } from './config/load.ts';
import type { FilterRegistry } from './filter/registry.ts';
import type { InheritedSocket } from './listener/listener-socket.ts';
import type { ProxyView } from './observe/admin/view.ts';
import type { RootLogger } from './observe/log.ts';
import type { ProbeSettings } from './observe/probe.ts';
import type { StatsScope } from './observe/stats.ts';
import type { StatsSnapshot } from './observe/stats-snapshot.ts';
import type { SharedMemory } from './shared-memory.ts';
import { SidecarProxy } from './sidecar-proxy.ts';
import type { SpliceSettings } from './splice-settings.ts';

export interface ProxyOptions {
  readonly config: LoadedConfig;
  /** Threads that serve. */
  readonly concurrency: number;
  /** Overrides `admin.address` of the configuration. */
  readonly adminAddress?: { readonly host: string; readonly port: number };
  readonly log: RootLogger;
  /** The filters that the configuration may name, those that come with the proxy by default; for one thread only. */
  readonly registry?: FilterRegistry;
  /** Longest time that a drain may take. */
  readonly drainTimeMs: number;
  /** Folder of the custom filters that the configuration may name. */
  readonly filterDir?: string;
  /** Times the components; without it, nothing of the probe is loaded. */
  readonly probe?: ProbeSettings | undefined;
  /** Whether the kernel forwards TCP sessions, where it can; unless given, it does not. */
  readonly splice?: SpliceSettings;
  /** Called once, when this thread has loaded its first custom filter: whoever owns the process guards it then. */
  readonly onCustomFilter?: (stats: StatsScope) => void;
  /** Limit of each worker thread's heap, MiB; that of V8 unless given. A worker that reaches it ends, alone. */
  readonly workerHeapMiB?: number;
  /** Set in a worker thread: what it shares with the others. */
  readonly thread?: ThreadOptions;
  /** Set when listening sockets are taken over from another process: nothing is accepted before `open` is called. */
  readonly takeover?: {
    /** Sockets by address key, for each thread. */
    readonly sockets: readonly InheritedSockets[];
    /** The admin server's, where there is one. */
    readonly admin?: number;
  };
  /** What the admin server tells on top of what this process knows. */
  readonly extendView?: (view: ProxyView) => ProxyView;
}

export type InheritedSockets = Readonly<Record<string, InheritedSocket>>;

/** What listens at one address. */
export interface ListeningSockets {
  /** Says which address of a configuration it is, or that it is the admin server's. */
  readonly key: string;
  readonly port: number;
  /** They stay this process's: others get copies. */
  readonly descriptors: readonly number[];
}

/** How a proxy ends whose sockets another process has taken over. */
export interface RetirementTerms {
  /** Address keys of the sockets that the other one accepts from. */
  readonly handedOver: readonly string[];
  /** After so long at the latest, every connection has been asked to end; idle ones may stay as long again. */
  readonly drainTimeMs: number;
  /** Asks one after the other, evenly over the drain time, in place of all at once. */
  readonly isGradual: boolean;
  /** What is left after so long is cut. */
  readonly deadlineMs: number;
}

/** What a worker thread has to do with the others. */
export interface ThreadOptions {
  readonly shared: SharedMemory;
  /** Ports that the system chose for the first thread, by listener name. */
  readonly ports: Readonly<Record<string, number>>;
  /** Whether this thread is the one that listens on Unix sockets. */
  readonly servesPipes: boolean;
  /** Its place among the threads, from 0, which one that replaces it takes; and how many there are. */
  readonly slot: number;
  readonly threads: number;
  /** Listening descriptors that the thread before it in its place has left, by the address that they listen at; it takes copies. */
  readonly left: ReadonlyMap<string, readonly number[]>;
  /** These listening descriptors stay open when the thread crashes; none when they are closed. */
  readonly keep: (address: string, descriptors: readonly number[]) => void;
  /** Brings a connection to the thread that is to serve it. */
  readonly handOver: (address: string, slot: number, fd: number) => void;
}

/** A proxy that serves. */
export interface RunningProxy {
  readonly adminAddress: { readonly host: string; readonly port: number } | undefined;
  /** Fulfils when somebody asked the admin server to end the process. */
  readonly quitRequested: Promise<void>;
  listeners(): readonly { readonly name: string; readonly address: string; readonly port: number }[];
  /** Takes over a new configuration without dropping a connection, or refuses it whole. @throws why */
  reload(config: LoadedConfig): Promise<'unchanged' | 'updated'>;
  reopenLogs(): void;
  /** With sockets that were taken over: begins to accept. */
  open(): Promise<void>;
  listeningSockets(): Promise<readonly ListeningSockets[]>;
  stats(): Promise<StatsSnapshot>;
  /** Accepts no more, since another process does; fulfils when what runs is over, or at the deadline. */
  retire(terms: RetirementTerms): Promise<void>;
  /** Ends in order: no new connections, running requests finish, at most the drain time. */
  drain(): Promise<void>;
  /** Ends at once. */
  close(): Promise<void>;
}

/**
 * The whole stack, in flow order: listeners accept, filter chains match, network filters agree, the connection manager
 * or the TCP proxy takes the connection to a cluster's endpoint.
 */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  if (options.concurrency > 1) {
    const { ThreadedProxy } = await import('./threads/threaded-proxy.ts');
    return ThreadedProxy.start(options);
  }
  const proxy = new SidecarProxy(options);
  await proxy.start();
  return proxy;
}
