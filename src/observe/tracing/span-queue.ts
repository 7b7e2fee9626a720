import type { Span } from './span.ts';

/** What became of a batch: reported, refused for good, or to be sent again. */
export type SendOutcome = 'sent' | 'refused' | 'failed';

/** Where batches go. Never rejects. */
export type SendSpans = (spans: readonly Span[]) => Promise<SendOutcome>;

export interface SpanQueueOptions {
  readonly send: SendSpans;
  /** Spans that may wait; what comes when it is full is dropped. */
  readonly maxSpans: number;
  readonly stats: SpanQueueStats;
}

export interface Tally {
  inc(): void;
  add(amount: number): void;
}

export interface SpanQueueStats {
  readonly spansSent: Tally;
  readonly spansDropped: Tally;
  /** Batches that time sent, rather than their number. */
  readonly timerFlushed: Tally;
}

/** A batch leaves when it is that large… */
const BATCH_SPANS = 512;
/** …or its first span that old. */
const FLUSH_INTERVAL_MS = 1000;

/**
 * Spans on their way to a collector, in batches, one at a time. A batch that did not get through waits for the next one;
 * the queue is bounded, so a collector that is down costs spans, not memory.
 */
export class SpanQueue {
  private readonly options: SpanQueueOptions;
  private waiting: Span[] = [];
  private sending: Promise<void> | undefined = undefined;
  private inFlight = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  /** The last try failed: full batches wait for the timer too. */
  private isFailing = false;

  constructor(options: SpanQueueOptions) {
    this.options = options;
  }

  add(span: Span): void {
    if (this.waiting.length + this.inFlight >= this.options.maxSpans) {
      this.options.stats.spansDropped.inc();
      return;
    }
    this.waiting.push(span);
    if (this.sending !== undefined) return;
    if (this.waiting.length >= Math.min(BATCH_SPANS, this.options.maxSpans) && !this.isFailing) this.sendNext();
    else this.startTimer();
  }

  private startTimer(): void {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.options.stats.timerFlushed.inc();
      this.sendNext();
    }, FLUSH_INTERVAL_MS);
    this.timer.unref();
  }

  private sendNext(): void {
    if (this.sending === undefined && this.waiting.length > 0) this.sending = this.sendBatch();
  }

  private async sendBatch(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const batch = this.waiting.splice(0, BATCH_SPANS);
    const { stats } = this.options;
    this.inFlight = batch.length;
    const outcome = await this.options.send(batch);
    this.inFlight = 0;
    this.sending = undefined;
    this.isFailing = outcome === 'failed';
    if (outcome === 'sent') stats.spansSent.add(batch.length);
    else if (outcome === 'refused') stats.spansDropped.add(batch.length);
    else this.waiting = [...batch, ...this.waiting];
    if (this.waiting.length >= BATCH_SPANS && !this.isFailing) this.sendNext();
    else if (this.waiting.length > 0) this.startTimer();
  }

  /** Sends what waits, once; what does not get through within `timeoutMs` is dropped. */
  async close(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let isLate = false;
    const late = new Promise<void>((done) => {
      const timer = setTimeout(() => {
        isLate = true;
        done();
      }, timeoutMs);
      timer.unref();
    });
    if (this.sending !== undefined) await Promise.race([this.sending, late]);
    while (!isLate && !this.isFailing && this.waiting.length > 0 && Date.now() < deadline) {
      this.sendNext();
      await Promise.race([this.sending, late]);
    }
    clearTimeout(this.timer);
    this.timer = undefined;
    this.options.stats.spansDropped.add(this.waiting.length);
    this.waiting = [];
  }
}
