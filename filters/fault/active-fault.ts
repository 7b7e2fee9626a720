import type { FilterEnv, HttpStream, SharedCount, Slot } from '../../src/filter/index.ts';
import type { Counter, Gauge, StatsScope } from '../../src/observe/stats.ts';
import { sharedKey } from '../shared-key.ts';
import type { HttpFault } from './schema.ts';

/** What was done to one stream; several faults of one stream are one active fault. */
export interface ActiveFault {
  /** Of the delay. */
  timer: NodeJS.Timeout | undefined;
  /** Of the response, 0 without a limit. */
  bytesPerMs: number;
  /** When the response bytes so far have passed, on the clock of `performance.now`. */
  passedMs: number;
}

/** Counts the faults of one configuration; how many are active is known to all threads, as the limit is for all. */
export class FaultStats {
  readonly limited: Counter;
  readonly #scope: StatsScope;
  readonly #slot: Slot<ActiveFault>;
  readonly #gauge: Gauge;
  readonly #overflow: Counter;
  readonly #delays: Counter;
  readonly #aborts: Counter;
  readonly #active: SharedCount;
  readonly #maxActive: number;
  readonly #perCluster: boolean;

  constructor(env: FilterEnv, config: HttpFault) {
    this.#scope = env.stats.scope('fault');
    this.#slot = env.slot();
    this.limited = this.#scope.counter('response_rl_injected');
    this.#gauge = this.#scope.gauge('active_faults');
    this.#overflow = this.#scope.counter('faults_overflow');
    this.#delays = this.#scope.counter('delays_injected');
    this.#aborts = this.#scope.counter('aborts_injected');
    this.#active = env.sharedCount(sharedKey(env.name, config));
    this.#maxActive = config.max_active_faults ?? Number.POSITIVE_INFINITY;
    this.#perCluster = !config.disable_downstream_cluster_stats;
  }

  /** True, and counted, when as many faults are active as may be. */
  overflows(): boolean {
    if (this.#active.value < this.#maxActive) return false;
    this.#overflow.inc();
    return true;
  }

  /** The stream's fault, begun now unless it has one. */
  begin(stream: HttpStream): ActiveFault {
    let fault = this.#slot.get(stream);
    if (fault === undefined) {
      fault = { timer: undefined, bytesPerMs: 0, passedMs: 0 };
      this.#slot.set(stream, fault);
      this.#gauge.inc();
      this.#active.add();
    }
    return fault;
  }

  of(stream: HttpStream): ActiveFault | undefined {
    return this.#slot.get(stream);
  }

  end(stream: HttpStream): void {
    const fault = this.#slot.get(stream);
    if (fault === undefined) return;
    clearTimeout(fault.timer);
    this.#gauge.dec();
    this.#active.remove();
  }

  /** `cluster` is the client's `x-envoy-downstream-service-cluster`, '' without. */
  countDelay(cluster: string): void {
    this.#delays.inc();
    if (this.#perCluster && cluster !== '') this.#scope.counter(`${cluster}.delays_injected`).inc();
  }

  countAbort(cluster: string): void {
    this.#aborts.inc();
    if (this.#perCluster && cluster !== '') this.#scope.counter(`${cluster}.aborts_injected`).inc();
  }
}

/** Gives a chunk of the response when its last byte has passed at the fault's rate. */
export function passSlowly(fault: ActiveFault, chunk: Buffer): Promise<Buffer> {
  const nowMs = performance.now();
  fault.passedMs = Math.max(fault.passedMs, nowMs) + chunk.length / fault.bytesPerMs;
  return new Promise((resolve) => {
    fault.timer = setTimeout(resolve, fault.passedMs - nowMs, chunk);
  });
}
