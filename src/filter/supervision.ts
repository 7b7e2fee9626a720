import type { StatsScope } from '../observe/stats.ts';
import type { Logger } from './env.ts';
import type { FilterOwner } from './loader-owners.ts';
import { installTimerGuard } from './timer-guard.ts';
import { startHeartbeat, startWatchdog, watchdogCells, watchedFilters } from './watchdog.ts';

/** What a worker hands to the main thread, which can see that it is blocked when it cannot say so itself. */
export interface WatchedThread {
  readonly cells: SharedArrayBuffer;
  readonly filters: readonly FilterOwner[];
}

/**
 * Guards the main thread against its custom filters: faults in timers are counted, a blocked thread names its filter.
 * Returns the function that ends the watchdog's thread, which would keep the process alive.
 */
export function superviseMainThread(log: Logger, stats: StatsScope): () => Promise<unknown> {
  guardTimers(log, stats);
  return startWatchdog({ log });
}

/** The same for a worker thread; the result is for `watchThread` in the main thread. */
export function superviseWorkerThread(log: Logger, stats: StatsScope): WatchedThread {
  guardTimers(log, stats);
  startHeartbeat();
  return { cells: watchdogCells(), filters: watchedFilters() };
}

function guardTimers(log: Logger, stats: StatsScope): void {
  const faults = stats.counter('filter.timer_faults');
  installTimerGuard({ log, onFault: () => faults.inc() });
}
