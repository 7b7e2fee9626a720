import type { Endpoint, FailureMonitor } from '../endpoint.ts';
import { CELL, type Slot } from '../endpoint-slots.ts';
import type { EjectionCause } from './outlier-stats.ts';

/** What a monitor tells, and how many failures in a row it tells of. */
export interface MonitorOwner {
  readonly config: {
    readonly consecutive_5xx: number;
    readonly consecutive_gateway_failure: number;
    readonly consecutive_local_origin_failure: number;
    readonly split_external_local_origin_errors: boolean;
  };
  /** So many failures came in a row. */
  onFailuresInRow(monitor: OutlierMonitor, cause: EjectionCause): void;
}

/** Whether requests are counted by what the endpoint answered, or by whether it could be asked. */
export type Origin = 'external' | 'local';

/** Counts what one endpoint's requests come to: a few adds into an array for each, and no memory is made. */
export class OutlierMonitor implements FailureMonitor {
  readonly endpoint: Endpoint;
  readonly slot: Slot;
  private readonly owner: MonitorOwner;
  private readonly cells: Int32Array;
  private readonly at: number;
  private readonly shared: boolean;
  private readonly split: boolean;

  constructor(owner: MonitorOwner, endpoint: Endpoint, slot: Slot) {
    this.owner = owner;
    this.endpoint = endpoint;
    this.slot = slot;
    this.cells = slot.cells;
    this.at = slot.at;
    this.shared = slot.shared;
    this.split = owner.config.split_external_local_origin_errors;
  }

  onResponse(status: number): void {
    this.add(CELL.EXTERNAL_TOTAL);
    if (status < 500) {
      this.add(CELL.EXTERNAL_SUCCESS);
      this.clear(CELL.CONSECUTIVE_5XX);
      this.clear(CELL.CONSECUTIVE_GATEWAY_FAILURE);
      return;
    }
    const { config } = this.owner;
    if (status >= 502 && status <= 504) {
      if (this.add(CELL.CONSECUTIVE_GATEWAY_FAILURE) === config.consecutive_gateway_failure)
        this.owner.onFailuresInRow(this, 'consecutive_gateway_failure');
    } else {
      this.clear(CELL.CONSECUTIVE_GATEWAY_FAILURE);
    }
    if (this.add(CELL.CONSECUTIVE_5XX) === config.consecutive_5xx) this.owner.onFailuresInRow(this, 'consecutive_5xx');
  }

  onConnected(): void {
    if (!this.split) return;
    this.add(CELL.LOCAL_TOTAL);
    this.add(CELL.LOCAL_SUCCESS);
    this.clear(CELL.CONSECUTIVE_LOCAL_ORIGIN_FAILURE);
  }

  onTcpConnected(): void {
    if (this.split) this.onConnected();
    else this.onResponse(200);
  }

  onFailure(): void {
    this.onNoAnswer(503);
  }

  onTimeout(): void {
    this.onNoAnswer(504);
  }

  private onNoAnswer(status: number): void {
    if (!this.split) {
      this.onResponse(status);
      return;
    }
    this.add(CELL.LOCAL_TOTAL);
    const { consecutive_local_origin_failure: limit } = this.owner.config;
    if (this.add(CELL.CONSECUTIVE_LOCAL_ORIGIN_FAILURE) === limit)
      this.owner.onFailuresInRow(this, 'consecutive_local_origin_failure');
  }

  /** The count after it. */
  private add(cell: number): number {
    const index = this.at + cell;
    if (this.shared) return Atomics.add(this.cells, index, 1) + 1;
    const count = (this.cells[index] as number) + 1;
    this.cells[index] = count;
    return count;
  }

  private clear(cell: number): void {
    const index = this.at + cell;
    if (this.cells[index] !== 0) this.cells[index] = 0;
  }

  // ── for the detector ──

  /** Starts the count of failures in a row anew. */
  forget(cause: EjectionCause): void {
    if (cause === 'consecutive_5xx') this.clear(CELL.CONSECUTIVE_5XX);
    else if (cause === 'consecutive_gateway_failure') this.clear(CELL.CONSECUTIVE_GATEWAY_FAILURE);
    else if (cause === 'consecutive_local_origin_failure') this.clear(CELL.CONSECUTIVE_LOCAL_ORIGIN_FAILURE);
  }

  /** Requests since the last call, and how many of them were successes. */
  takeCounts(origin: Origin): { readonly total: number; readonly successes: number } {
    const external = origin === 'external';
    const total = this.take(external ? CELL.EXTERNAL_TOTAL : CELL.LOCAL_TOTAL);
    const successes = this.take(external ? CELL.EXTERNAL_SUCCESS : CELL.LOCAL_SUCCESS);
    return { total, successes };
  }

  private take(cell: number): number {
    const index = this.at + cell;
    if (this.shared) return Atomics.exchange(this.cells, index, 0);
    const count = this.cells[index] as number;
    this.cells[index] = 0;
    return count;
  }

  get(cell: number): number {
    return this.cells[this.at + cell] as number;
  }

  set(cell: number, value: number): void {
    this.cells[this.at + cell] = value;
  }

  /** Percent; −1 when unknown. */
  successRate(origin: Origin): number {
    return (this.slot.doubles[this.rateIndex(origin)] as number) - 1;
  }

  setSuccessRate(origin: Origin, percent: number): void {
    this.slot.doubles[this.rateIndex(origin)] = percent + 1;
  }

  private rateIndex(origin: Origin): number {
    return (this.at + (origin === 'external' ? CELL.SUCCESS_RATE : CELL.LOCAL_SUCCESS_RATE)) / 2;
  }
}
