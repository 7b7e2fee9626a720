import type { TapConfig } from '../config/schema/tap.ts';

/** Somebody at the admin server who asked for traces. */
export interface AttachedTap {
  readonly config: TapConfig;
  /** Takes one trace, as JSON; false when it was dropped because nobody reads as fast as traces come. */
  submit(trace: string): boolean;
}

/** A filter that `POST /tap` can attach to. */
export interface TapPoint {
  attach(tap: AttachedTap): void;
  detach(tap: AttachedTap): void;
}

/** Where filters make themselves known to the admin server's `POST /tap`. */
export interface Taps {
  /** Who is attached to the id already is attached to the point at once. @returns takes the point back */
  open(configId: string, point: TapPoint): () => void;
}
