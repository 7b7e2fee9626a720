import type { CounterValues, ProfilePart } from '../profile/profile-report.ts';

export const CHARACTERIZATION_SCHEMA = 'outrigger.characterization/1';

/** Shares of a core that the proxy is brought to: low, medium and high load of the paper (§4). */
export const LEVELS = [0.2, 0.5, 1] as const;

/**
 * What `outrigger characterize` found out: the method of Sahu et al., "Understanding Sidecars in Cloud Orchestration"
 * (SESAME 2025, §4 and §5.2), for each proxy. Times are microseconds unless the name says otherwise.
 */
export interface Characterization {
  readonly schema: typeof CHARACTERIZATION_SCHEMA;
  readonly startedAt: string;
  readonly seconds: number;
  /** How to do it again. */
  readonly command: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly kernel: string;
    readonly node: string;
  };
  readonly cores: { readonly proxy: readonly number[]; readonly load: readonly number[]; readonly pinned: boolean };
  readonly rounds: number;
  readonly durationS: number;
  readonly peers: readonly { readonly name: string; readonly version: string; readonly description: string }[];
  /** In the order of the paper, then those that only its public benchmark has. */
  readonly configurations: readonly ConfigurationResult[];
  /** The sweep of message sizes (appendix B.2), smallest first within a configuration. */
  readonly sizes: readonly SizeResult[];
  /** What to know before one believes a figure. */
  readonly warnings: readonly string[];
}

export interface ConfigurationResult {
  /** Name in the paper's public benchmark. */
  readonly name: string;
  /** As the paper writes it, where it has it. */
  readonly title: string;
  /** Among the eleven of the paper's §4. */
  readonly inPaper: boolean;
  readonly protocol: 'tcp' | 'http';
  /** The benchmark's scenario that it is; none where the row is open. */
  readonly scenario?: string;
  /** How it differs from the public benchmark's file, where it does. */
  readonly note?: string;
  /** Why nothing was measured: the row is open. */
  readonly open?: string;
  /** The configuration without any of its filters; none where it is one itself. */
  readonly base?: string;
  /** Names of the configurations with one filter each that add up to this one; one filter's own has none. */
  readonly parts: readonly string[];
  /** Measures this one alone again. */
  readonly command: string;
  readonly load: string;
  readonly peers: readonly PeerCharacter[];
}

/** The median of the rounds and how far they lie apart, in the order in which they were measured. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly values: readonly number[];
}

export interface PeerCharacter {
  readonly peer: string;
  /** Why there are no (more) figures. */
  readonly error?: string;
  /** In a closed loop, as fast as it takes the load. */
  readonly requestsPerSecond?: Figure;
  /** CPU of the proxy's process per request, likewise. */
  readonly cpuMicros?: Figure;
  /** CPU time by wall time then: well below 100 something else was the limit. */
  readonly cpuPercent?: number;
  readonly errors: number;
  /** At fixed rates, lowest level first. */
  readonly levels: readonly LevelFigures[];
  /** Where the CPU time goes, at saturation. */
  readonly breakdown?: Breakdown;
}

export interface LevelFigures {
  /** One of `LEVELS`: share of a core that the rate was chosen for. */
  readonly level: number;
  /** Open: sent by a schedule, latency counts from the moment at which a request was due. Closed: from its sending. */
  readonly loop?: 'open' | 'closed';
  /** Requests per second. */
  readonly rate: number;
  /** What the process used of a core, %. */
  readonly cpuPercent: Figure;
  readonly cpuMicros: Figure;
  readonly achievedRate: Figure;
  /** Microseconds; `loop` says from which moment. */
  readonly p50: Figure;
  readonly p90: Figure;
  readonly p99: Figure;
  readonly errors: number;
  readonly unanswered: number;
  /** Why the generator, and not the proxy, may be what was measured. */
  readonly generatorLimits: readonly string[];
}

export interface Breakdown {
  readonly samples: number;
  readonly cpuMicros: number;
  readonly parts: readonly ProfilePart[];
  readonly counters: CounterValues;
  readonly notes: readonly string[];
}

export interface SizeResult {
  /** Name of the configuration. */
  readonly configuration: string;
  /** Of each response's body. */
  readonly bytes: number;
  readonly command: string;
  readonly peers: readonly PeerCharacter[];
}
