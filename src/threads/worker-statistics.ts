import { mergeSnapshots, type StatsSnapshot } from '../observe/stats-snapshot.ts';
import { answersOf, type WorkerHandle } from './worker-handle.ts';

/** So often is asked for values, however seldom somebody reads them: a crash loses what was counted since (Envoy flushes as often). */
const READ_EVERY_MS = 5000;

/**
 * The statistics of all workers as one. What a worker had counted when it was last asked outlives it, so that counters
 * and histograms never go backwards; its gauges are of connections that are gone.
 */
export class WorkerStatistics {
  private readonly workers: readonly WorkerHandle[];
  private readonly last = new Map<WorkerHandle, StatsSnapshot>();
  private retired: StatsSnapshot | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;

  constructor(workers: readonly WorkerHandle[]) {
    this.workers = workers;
  }

  start(): void {
    this.timer = setInterval(() => void this.read().catch(() => undefined), READ_EVERY_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  async read(): Promise<StatsSnapshot> {
    const now = await answersOf(
      this.workers.map(async (worker) => {
        const values = await worker.ask('stats');
        if (this.workers.includes(worker)) this.last.set(worker, values);
        return { worker, values };
      }),
    );
    // What one had counted that has crashed meanwhile is counted among the retired.
    const living = now.filter(({ worker }) => this.workers.includes(worker)).map(({ values }) => values);
    return mergeSnapshots(this.retired === undefined ? living : [...living, this.retired]);
  }

  async reset(): Promise<void> {
    await answersOf(this.workers.map((worker) => worker.ask('resetCounters')));
    this.retired = undefined;
    this.last.clear();
  }

  /** The worker has crashed. */
  retire(worker: WorkerHandle): void {
    const values = this.last.get(worker);
    this.last.delete(worker);
    if (values === undefined) return;
    const counted = { counters: values.counters, gauges: new Map(), histograms: values.histograms };
    this.retired = this.retired === undefined ? counted : mergeSnapshots([this.retired, counted]);
  }
}
