/** What a counter says after hits were added to it. */
export interface HitCount {
  /** Hits in this window, those just added included. */
  readonly count: number;
  /** Milliseconds until the window ends. */
  readonly resetMs: number;
}

/** Counters of hits, each in windows that begin with its first hit. */
export interface HitCounters {
  /**
   * Adds hits to a counter and tells what it has then; one call at a time sees each number.
   * @throws Error (as a rejection) when the counter cannot be reached
   */
  add(key: string, windowSeconds: number, hits: number): Promise<HitCount>;
  close(): Promise<void>;
}
