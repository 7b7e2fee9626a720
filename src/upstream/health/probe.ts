/** What makes the checks of one endpoint, one at a time, over a connection of its own. */
export interface Probe {
  /** Makes a check: exactly one call of `ProbeEvents` follows, unless it is given up. */
  begin(): void;
  /** Gives up the check that runs, whose time is over. */
  expire(): void;
  /** The endpoint is checked no more. Nothing is called after this. */
  close(): void;
}

/** How a failed check failed. */
export type ProbeFailure =
  /** The endpoint answered, and wrongly. */
  | 'active'
  /** It could not be reached, or broke off. */
  | 'network';

/** What a probe tells of its checks. */
export interface ProbeEvents {
  /** @param degraded whether the endpoint asks for less work */
  onPass(degraded: boolean): void;
  /**
   * @param retriable whether it takes several such checks to make the endpoint unhealthy, although it answered
   * @param httpStatus of an answer in HTTP, for the event log
   */
  onFail(failure: ProbeFailure, retriable: boolean, httpStatus?: number): void;
}
