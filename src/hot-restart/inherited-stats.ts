import { mergeSnapshots, type StatsSnapshot } from '../observe/stats-snapshot.ts';
import type { StatsMessage } from './messages.ts';

/** Gauges of what two processes have together: connections and requests that are open. Others tell of one process. */
const COUNTS_WHAT_IS_OPEN = /_active$/;

/** What another process needs of the statistics: counters that have counted, and gauges of what is open. */
export function statsMessage(type: 'go' | 'stats', { counters, gauges }: StatsSnapshot): StatsMessage {
  const open = [...gauges].filter(([name, value]) => value !== 0 && COUNTS_WHAT_IS_OPEN.test(name));
  return {
    type,
    counters: Object.fromEntries([...counters].filter(([, value]) => value !== 0)),
    gauges: Object.fromEntries(open),
  } as StatsMessage;
}

/**
 * What the processes before this one have counted. As in Envoy, counters go on where they were, gauges of what is open
 * add up while both are there, and histograms begin anew.
 */
export class InheritedStats {
  private counters = new Map<string, number>();
  private gauges = new Map<string, number>();
  /** What `reset` left out: the other process goes on counting from where it was. */
  private ignored = new Map<string, number>();
  private latest = new Map<string, number>();

  update({ counters, gauges }: StatsMessage): void {
    this.latest = new Map(Object.entries(counters));
    this.gauges = new Map(Object.entries(gauges));
    this.counters = new Map(
      [...this.latest].map(([name, value]) => [name, Math.max(0, value - (this.ignored.get(name) ?? 0))]),
    );
  }

  /** The other process has ended: nothing of it is open. */
  onEnd(): void {
    this.gauges = new Map();
  }

  /** `POST /reset_counters`. */
  reset(): void {
    this.ignored = this.latest;
    this.counters = new Map();
  }

  addTo(own: StatsSnapshot): StatsSnapshot {
    if (this.counters.size === 0 && this.gauges.size === 0) return own;
    return mergeSnapshots([own, { counters: this.counters, gauges: this.gauges, histograms: new Map() }]);
  }
}
