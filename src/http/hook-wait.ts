import type { HookResult } from '../filter/http.ts';
import { PendingVerdict, type VerdictReceiver } from '../filter/pending-verdict.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { ConfiguredFilter } from './filter-chain.ts';

/** The stream whose hook returned a promise, or a verdict that comes later. */
export interface WaitingStream {
  /** Whether the wait still counts: the stream goes on, and nothing has taken its place. */
  isWaitingFor(wait: HookWait): boolean;
  /** The hook's promise, or its time limit, has ended the wait. */
  onHookSettled(wait: HookWait, failed: boolean, outcome: unknown): void;
  /** The promise is settled, in time or not. */
  onPromiseSettled(): void;
}

/** One wait for what a hook promised, with the filter's time limit. */
export class HookWait extends TimerEntry implements VerdictReceiver {
  readonly filter: ConfiguredFilter;
  readonly isResponse: boolean;
  /** What is done with the hook's result; undefined when it failed, and the filter lets requests pass then. */
  readonly goOn: (value: never) => void;
  private readonly stream: WaitingStream;

  constructor(
    stream: WaitingStream,
    promise: Promise<unknown> | PendingVerdict,
    filter: ConfiguredFilter,
    goOn: (value: never) => void,
    isResponse: boolean,
  ) {
    super();
    this.stream = stream;
    this.filter = filter;
    this.goOn = goOn;
    this.isResponse = isResponse;
    timers.start(this, filter.timeoutMs);
    if (promise instanceof PendingVerdict) promise.tell(this);
    else {
      promise.then(
        (value) => this.settled(false, value),
        (error) => this.settled(true, error),
      );
    }
  }

  onVerdict(verdict: HookResult): void {
    this.settledWithin(false, verdict);
  }

  onVerdictFailure(error: unknown): void {
    this.settledWithin(true, error);
  }

  private settledWithin(failed: boolean, outcome: unknown): void {
    try {
      this.settled(failed, outcome);
    } catch (error) {
      // It is no fault of whoever brings the verdict, such as a connection that others use too.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  private settled(failed: boolean, outcome: unknown): void {
    timers.cancel(this);
    this.stream.onPromiseSettled();
    if (this.stream.isWaitingFor(this)) this.stream.onHookSettled(this, failed, outcome);
  }

  override onTimeout(): void {
    if (!this.stream.isWaitingFor(this)) return;
    this.stream.onHookSettled(this, true, new Error(`did not answer within ${this.filter.timeoutMs} ms`));
  }
}
