import * as v from 'valibot';
import { TapRequest } from '../../config/schema/tap.ts';
import type { AttachedTap, TapPoint, Taps } from '../../filter/taps.ts';

/** What a reader of traces asks of one thread: its name, and the request (envoy.admin.v3.TapRequest) in JSON form. */
export interface TapPoll {
  readonly reader: string;
  readonly request: unknown;
}

/** What came since the last time. */
export interface TapBatch {
  /** Each a JSON text with its line end. */
  readonly traces: readonly string[];
  /** How many did not fit. */
  readonly dropped: number;
}

/** What one thread keeps for a reader that does not come, in characters of traces. */
const MAX_QUEUED = 1024 * 1024;
/** A reader that has not come for so long is forgotten; when it comes again, it is attached again. */
const LEASE_MS = 10_000;

class Reader implements AttachedTap {
  readonly configId: string;
  readonly config: TapRequest['tap_config'];
  readonly polled = { atMs: 0 };
  #queue: string[] = [];
  #queued = 0;
  #dropped = 0;

  constructor(request: TapRequest) {
    this.configId = request.config_id;
    this.config = request.tap_config;
  }

  submit(trace: string): boolean {
    if (this.#queued + trace.length > MAX_QUEUED) {
      this.#dropped++;
      return false;
    }
    this.#queued += trace.length;
    this.#queue.push(trace);
    return true;
  }

  take(): TapBatch {
    const batch = { traces: this.#queue, dropped: this.#dropped };
    this.#queue = [];
    this.#queued = 0;
    this.#dropped = 0;
    return batch;
  }
}

/**
 * The tap filters of one thread and who reads their traces. Readers come for what is there, so nobody has to be told
 * of a thread that begins late or of a reader that is gone: the first visit attaches, missing visits detach.
 */
export class TapRegistry implements Taps {
  readonly #points = new Map<string, Set<TapPoint>>();
  readonly #readers = new Map<string, Reader>();
  #sweeper: NodeJS.Timeout | undefined;

  open(configId: string, point: TapPoint): () => void {
    const points = this.#points.get(configId) ?? new Set();
    this.#points.set(configId, points.add(point));
    for (const reader of this.#readers.values()) if (reader.configId === configId) point.attach(reader);
    return () => {
      points.delete(point);
      if (points.size === 0 && this.#points.get(configId) === points) this.#points.delete(configId);
    };
  }

  /** Ids that a reader may ask for. */
  configIds(): string[] {
    return [...this.#points.keys()].sort();
  }

  /** @throws v.ValiError for a request that is none */
  poll({ reader: name, request }: TapPoll): TapBatch {
    let reader = this.#readers.get(name);
    if (reader === undefined) {
      reader = new Reader(v.parse(TapRequest, request));
      this.#readers.set(name, reader);
      for (const point of this.#points.get(reader.configId) ?? []) point.attach(reader);
      this.#sweeper ??= setInterval(() => this.#sweep(), LEASE_MS / 2).unref();
    }
    reader.polled.atMs = performance.now();
    return reader.take();
  }

  detach(name: string): void {
    const reader = this.#readers.get(name);
    if (reader === undefined) return;
    this.#readers.delete(name);
    for (const point of this.#points.get(reader.configId) ?? []) point.detach(reader);
    if (this.#readers.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #sweep(): void {
    const oldestMs = performance.now() - LEASE_MS;
    for (const [name, reader] of this.#readers) if (reader.polled.atMs < oldestMs) this.detach(name);
  }
}

/** What several threads have for one reader. */
export function mergeBatches(batches: readonly TapBatch[]): TapBatch {
  return {
    traces: batches.flatMap(({ traces }) => traces),
    dropped: batches.reduce((sum, { dropped }) => sum + dropped, 0),
  };
}
