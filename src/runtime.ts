import type { Calls } from './filter/calls.ts';
import type { ProxyFacts } from './filter/env.ts';
import type { Splicing } from './network/splicing.ts';
import type { DenialLog } from './observe/denials.ts';
import type { RootLogger } from './observe/log.ts';
import type { Probe } from './observe/probe.ts';
import type { StatsStore } from './observe/stats.ts';
import type { TapRegistry } from './observe/tap/tap-registry.ts';
import type { OverloadState } from './overload/overload-state.ts';
import type { SharedMemory } from './shared-memory.ts';
import type { ClusterManager } from './upstream/cluster-manager.ts';

/** What every room of one thread of the proxy works with. */
export interface Runtime {
  readonly stats: StatsStore;
  readonly log: RootLogger;
  readonly clusters: ClusterManager;
  readonly shared: SharedMemory;
  /** What is refused at the moment, since some resource runs short. */
  readonly overload: OverloadState;
  /** Undefined unless components are timed; set before the first chain is built. */
  probe: Probe | undefined;
  readonly denials: DenialLog;
  readonly taps: TapRegistry;
  readonly facts: ProxyFacts;
  readonly calls: Calls;
  /** Whether the kernel forwards TCP sessions; undefined: never. */
  readonly splicing?: Splicing;
  /** What the proxy waits for at its end, while its clusters still serve. */
  readonly atClose: Set<() => Promise<void>>;
  /** Folder from which module paths of the configuration are meant. */
  readonly baseDir: string;
  readonly filterDir: string | undefined;
  /** A custom filter has been loaded, perhaps not the first one. */
  readonly onCustomFilter: () => void;
}
