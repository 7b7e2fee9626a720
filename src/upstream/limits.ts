import type { Thresholds } from '../config/schema/cluster.ts';
import type { Gauge, StatsScope } from '../observe/stats.ts';

/** Envoy's defaults of `circuit_breakers.thresholds` (config/cluster/v3/circuit_breaker.proto). */
const DEFAULT_MAX_CONNECTIONS = 1024;
const DEFAULT_MAX_PENDING_REQUESTS = 1024;
const DEFAULT_MAX_REQUESTS = 1024;
const DEFAULT_MAX_RETRIES = 3;
const DEFAULT_BUDGET_PERCENT = 20;

const CELLS_PER_PRIORITY = 4;
const PRIORITIES = ['DEFAULT', 'HIGH'] as const;

type RetryBudget = NonNullable<Thresholds['retry_budget']>;

export type RoutingPriority = (typeof PRIORITIES)[number];

/** Bytes of counters that one cluster's limits need: an Int32 for each of four resources of each priority. */
export const LIMIT_BYTES = PRIORITIES.length * CELLS_PER_PRIORITY * Int32Array.BYTES_PER_ELEMENT;

interface LimitGauges {
  /** 1 while some are in use and nothing more may be acquired. */
  readonly open: Gauge;
  /** What may still be acquired; only under `track_remaining`. */
  readonly remaining: Gauge | undefined;
}

/**
 * How much of one resource is in use, and how much may be. The count lies in a cell of an Int32Array; where that is
 * over shared memory, all threads of the process count together.
 */
export class ResourceLimit {
  private readonly cells: Int32Array;
  /** What this thread holds of a count over shared memory, for whoever has to give it back when the thread has crashed. */
  private readonly ledger: Int32Array | undefined;
  private readonly index: number;
  private readonly gauges: LimitGauges;
  private readonly shared: boolean;
  protected readonly fixedMax: number;
  /** Counts from here on can change a gauge. */
  private readonly publishFrom: number;

  constructor({ cells, ledger }: LimitCounts, index: number, max: number, gauges: LimitGauges) {
    this.cells = cells;
    this.ledger = ledger;
    this.index = index;
    this.fixedMax = max;
    this.gauges = gauges;
    this.publishFrom = gauges.remaining === undefined ? max : 0;
    this.shared = cells.buffer instanceof SharedArrayBuffer;
  }

  get max(): number {
    return this.fixedMax;
  }

  /** How many are in use now, by all threads. */
  get count(): number {
    return this.shared ? Atomics.load(this.cells, this.index) : (this.cells[this.index] as number);
  }

  /** True while one more may be acquired. */
  canAcquire(): boolean {
    return this.count < this.max;
  }

  /** Counts one more without asking, for what Envoy lets through above the limit (a connection to an endpoint that has none). */
  acquire(): void {
    if (this.shared) {
      Atomics.add(this.cells, this.index, 1);
      this.note(1);
      return;
    }
    const count = (this.cells[this.index] as number) + 1;
    this.cells[this.index] = count;
    if (count >= this.publishFrom) this.publish();
  }

  /** Counts one more and answers true, or answers false at the limit. Exact also when several threads ask at once. */
  tryAcquire(): boolean {
    if (!this.shared) {
      if ((this.cells[this.index] as number) >= this.max) return false;
      this.acquire();
      return true;
    }
    if (Atomics.add(this.cells, this.index, 1) < this.max) {
      this.note(1);
      return true;
    }
    Atomics.sub(this.cells, this.index, 1);
    return false;
  }

  private note(change: number): void {
    if (this.ledger !== undefined) this.ledger[this.index] = (this.ledger[this.index] as number) + change;
  }

  /** Gives back what `acquire` or a successful `tryAcquire` took. */
  release(): void {
    if (this.shared) {
      Atomics.sub(this.cells, this.index, 1);
      this.note(-1);
      return;
    }
    const count = this.cells[this.index] as number;
    this.cells[this.index] = count - 1;
    if (count >= this.publishFrom) this.publish();
  }

  /**
   * Brings the gauges up to date. Happens by itself while the count is the thread's own; with shared memory the
   * thread that serves statistics calls it before it reads them, since gauges of threads are summed.
   */
  publish(): void {
    const { open, remaining } = this.gauges;
    const { count } = this;
    const left = this.max - count;
    // What may not be used at all, and is not, is not open: Envoy finds that out with the first use.
    open.value = left > 0 || count === 0 ? 0 : 1;
    if (remaining !== undefined) remaining.value = Math.max(left, 0);
  }
}

/** `retry_budget`: the limit moves with the load. */
class RetryBudgetLimit extends ResourceLimit {
  private readonly share: number;
  private readonly requests: ResourceLimit;
  private readonly pendingRequests: ResourceLimit;

  constructor(
    counts: LimitCounts,
    index: number,
    budget: RetryBudget,
    requests: ResourceLimit,
    pendingRequests: ResourceLimit,
    gauges: LimitGauges,
  ) {
    super(counts, index, budget.min_retry_concurrency, gauges);
    this.share = (budget.budget_percent?.value ?? DEFAULT_BUDGET_PERCENT) / 100;
    this.requests = requests;
    this.pendingRequests = pendingRequests;
  }

  override get max(): number {
    return Math.max(this.fixedMax, Math.floor(this.share * (this.requests.count + this.pendingRequests.count)));
  }
}

/** The circuit breakers of one cluster for one routing priority. */
export class ResourceLimits {
  readonly connections: ResourceLimit;
  readonly pendingRequests: ResourceLimit;
  readonly requests: ResourceLimit;
  readonly retries: ResourceLimit;

  /** @param stats the cluster's scope, `cluster.<name>.`. */
  constructor(counts: LimitCounts, priority: RoutingPriority, thresholds: Thresholds | undefined, stats: StatsScope) {
    const first = PRIORITIES.indexOf(priority) * CELLS_PER_PRIORITY;
    const scope = stats.scope(`circuit_breakers.${priority.toLowerCase()}`);
    const gauges = (open: string, remaining: string): LimitGauges => ({
      open: scope.gauge(open),
      remaining: thresholds?.track_remaining === true ? scope.gauge(remaining) : undefined,
    });
    this.connections = new ResourceLimit(
      counts,
      first,
      thresholds?.max_connections ?? DEFAULT_MAX_CONNECTIONS,
      gauges('cx_open', 'remaining_cx'),
    );
    this.pendingRequests = new ResourceLimit(
      counts,
      first + 1,
      thresholds?.max_pending_requests ?? DEFAULT_MAX_PENDING_REQUESTS,
      gauges('rq_pending_open', 'remaining_pending'),
    );
    this.requests = new ResourceLimit(
      counts,
      first + 2,
      thresholds?.max_requests ?? DEFAULT_MAX_REQUESTS,
      gauges('rq_open', 'remaining_rq'),
    );
    const retryGauges = gauges('rq_retry_open', 'remaining_retries');
    const budget = thresholds?.retry_budget;
    this.retries =
      budget === undefined
        ? new ResourceLimit(counts, first + 3, thresholds?.max_retries ?? DEFAULT_MAX_RETRIES, retryGauges)
        : new RetryBudgetLimit(counts, first + 3, budget, this.requests, this.pendingRequests, retryGauges);
    this.publish();
  }

  /** Brings all gauges up to date, see `ResourceLimit.publish`. */
  publish(): void {
    this.connections.publish();
    this.pendingRequests.publish();
    this.requests.publish();
    this.retries.publish();
  }
}

/** Where the limits of one cluster count. */
export interface LimitCounts {
  /** `LIMIT_BYTES` long; over a SharedArrayBuffer where several threads count together. */
  readonly cells: Int32Array;
  /** As long; what this thread added to shared `cells`. */
  readonly ledger: Int32Array | undefined;
}

/** Circuit breakers of a cluster by routing priority: those of the first threshold that names it, as in Envoy. */
export function createLimits(
  cells: Int32Array,
  thresholds: readonly Thresholds[],
  stats: StatsScope,
  ledger?: Int32Array,
): Readonly<Record<RoutingPriority, ResourceLimits>> {
  const of = (priority: RoutingPriority) =>
    new ResourceLimits(
      { cells, ledger },
      priority,
      thresholds.find((candidate) => (candidate.priority ?? 'DEFAULT') === priority),
      stats,
    );
  return { DEFAULT: of('DEFAULT'), HIGH: of('HIGH') };
}
