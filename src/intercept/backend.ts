import type { InterceptOptions } from './options.ts';
import type { Family, Rule } from './rule.ts';

export const BACKENDS = ['iptables-nft', 'iptables-legacy', 'iptables', 'nft'] as const;
/** A program that brings rules into the kernel. `iptables` is whichever kind the distribution has chosen. */
export type BackendName = (typeof BACKENDS)[number];

/** What a program gets on its standard input. */
export interface PlannedInput {
  /** As one would type it. */
  readonly command: string;
  readonly text: string;
}

/** A rule in the kernel that is ours, or that leads to ours. */
export interface ActiveRule {
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  /** In the words of its program. */
  readonly text: string;
  /** What it says; undefined for a rule that no installation makes. */
  readonly rule: Rule | undefined;
  readonly packets: number;
  readonly bytes: number;
}

/** What one program finds in the kernel, and what can be made of it. All changes are made whole or not at all. */
export interface Snapshot {
  readonly backend: BackendName;
  /** Whether there is anything that an installation has made, whole or in part. */
  readonly hasOurs: boolean;
  /** Whether others have rules in the same tables. */
  readonly hasForeign: boolean;
  readonly rules: readonly ActiveRule[];
  planInstall(options: InterceptOptions, families: readonly Family[]): PlannedInput[];
  install(options: InterceptOptions, families: readonly Family[]): Promise<void>;
  planRemoval(): PlannedInput[];
  remove(): Promise<void>;
  /** Makes it again what it was when it was read, after an installation that something else has failed beside. */
  undo(): Promise<void>;
}

export interface Backend {
  readonly name: BackendName;
  /** Asks the kernel. */
  read(families: readonly Family[]): Promise<Snapshot>;
}
