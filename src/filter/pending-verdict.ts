import type { HookResult } from './http.ts';

/** Who goes on with a verdict. */
export interface VerdictReceiver {
  onVerdict(verdict: HookResult): void;
  /** The filter failed. */
  onVerdictFailure(error: unknown): void;
}

/**
 * A verdict that comes later, through a callback: what a hook returns in place of a promise where each request waits for
 * one. The stream goes on within `settle`, in the event that brought the verdict; a promise costs it several turns through
 * the queue of microtasks, and a write and readings of the clock outside of any event.
 */
export class PendingVerdict {
  private receiver: VerdictReceiver | undefined = undefined;
  private verdict: HookResult = undefined;
  private failure: unknown = undefined;
  private failed = false;
  isSettled = false;

  /** Says what becomes of the stream. Only the first call of this or of `fail` counts. */
  settle(verdict: HookResult): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.verdict = verdict;
    this.receiver?.onVerdict(verdict);
  }

  /** The same as a hook that throws. */
  fail(error: unknown): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.failed = true;
    this.failure = error;
    this.receiver?.onVerdictFailure(error);
  }

  /** What it was settled with. @throws what it failed with */
  take(): HookResult {
    if (this.failed) throw this.failure;
    return this.verdict;
  }

  /** Who is told, once, of a verdict that is still to come. */
  tell(receiver: VerdictReceiver): void {
    this.receiver = receiver;
  }

  /** The same as a promise, off the path of requests. */
  asPromise(): Promise<HookResult> {
    if (this.isSettled) return new Promise((resolve) => resolve(this.take()));
    return new Promise((resolve, reject) => this.tell({ onVerdict: resolve, onVerdictFailure: reject }));
  }
}
