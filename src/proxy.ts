import type { LoadedConfig } from './config/load.ts';
import type { FilterRegistry } from './filter/registry.ts';
import type { RootLogger } from './observe/log.ts';
import type { StatsScope } from './observe/stats.ts';
import type { SharedMemory } from './shared-memory.ts';
import { SidecarProxy } from './sidecar-proxy.ts';

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
  /** Called once, when this thread has loaded its first custom filter: whoever owns the process guards it then. */
  readonly onCustomFilter?: (stats: StatsScope) => void;
  /** Set in a worker thread: what it shares with the others. */
  readonly thread?: {
    readonly shared: SharedMemory;
    /** Ports that the system chose for the first thread, by listener name. */
    readonly ports: Readonly<Record<string, number>>;
    /** Whether this thread is the one that listens on Unix sockets. */
    readonly servesPipes: boolean;
  };
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
