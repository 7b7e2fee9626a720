/** What the command line's exit codes mean; `outrigger help` prints them. */
export const EXIT = {
  ok: 0,
  /** Something failed that is neither the command line's nor the configuration's fault: a port in use, a failed test. */
  failure: 1,
  /** The command line or the configuration is wrong; nothing was started. */
  usage: 2,
} as const;
