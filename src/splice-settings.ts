/** Whether the kernel forwards TCP sessions: where it can, never, or else the proxy does not start. */
export const SPLICE_MODES = ['auto', 'off', 'on'] as const;
export type SpliceMode = (typeof SPLICE_MODES)[number];

export interface SpliceSettings {
  readonly mode: SpliceMode;
  /** Unix socket of the node agent that makes the maps; undefined: this process makes them. */
  readonly agent?: string | undefined;
  /** Of several threads, one tells that splicing is not possible. */
  readonly isQuiet?: boolean | undefined;
}
