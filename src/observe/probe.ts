import type { AccessLogger } from './access-log/index.ts';

/** Which events of the event loop are timed: none, some, all. */
export const PROBE_MODES = ['off', 'sampled', 'all'] as const;
export type ProbeMode = (typeof PROBE_MODES)[number];

export interface ProbeSettings {
  readonly mode: Exclude<ProbeMode, 'off'>;
  /** With `sampled`: one event in so many, on average. */
  readonly every: number;
}

/**
 * What times the components of one thread. There is none with `--probe off`: whoever builds a chain then builds it of
 * the filters' own hooks.
 */
export interface Probe {
  /** Hooks that do the same as the given ones, timed as those of this filter. */
  filterHooks<Hooks extends object>(filter: string, hooks: Hooks): Hooks;
  accessLog(logger: AccessLogger): AccessLogger;
  /** What one TCP proxy forwards is told apart by this name. */
  nameTcpProxy(proxy: object, statPrefix: string): void;
  report(): ThreadTimes;
  /** Nothing is timed from here on, and nothing of the probe stays behind. */
  stop(): void;
}

/** Nanoseconds by part: a component's id, or `filter/<name>` (`components.ts`). */
export type PartTimes = Readonly<Record<string, number>>;

/** One route's time in the events that were timed, the probe's own cost taken out. */
export interface RouteTimes {
  /** `<virtual host>/<route>`, `tcp/<stat prefix>`, or '' for what several routes share. */
  readonly route: string;
  /** Requests begun, in the events that were timed. 0 for TCP. */
  readonly requests: number;
  /** Reads from sockets, in the events that were timed. */
  readonly reads: number;
  readonly parts: PartTimes;
}

/** What the probe of one thread has seen since it began. */
export interface ThreadTimes {
  readonly mode: ProbeSettings['mode'];
  readonly every: number;
  /** Events of the event loop that reached the proxy, and how many of them were timed. */
  readonly events: number;
  readonly timed: number;
  /** Events of rows that do not count, since somebody else had the processor meanwhile, or something else ran between. */
  readonly disturbed: number;
  /** CPU time of the thread since the probe began; what the system does not tell is undefined. */
  readonly threadCpuNs: number | undefined;
  /** CPU time that the probe itself has taken, by its calibration. It is in none of the parts. */
  readonly probeNs: number;
  /** What all parts have been multiplied by to fit the CPU time of the thread less the probe's; 1 as long as it is not known. */
  readonly rowScale?: number;
  /** The first events, which are forgotten, are over. */
  readonly isWarm?: boolean;
  readonly routes: readonly RouteTimes[];
}
