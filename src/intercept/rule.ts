/**
 * Rules of interception, apart from the program that puts them into the kernel. iptables and nftables are both written
 * from these (`iptables-text.ts`, `nft-text.ts`), so that they decide alike.
 */
export type Family = 4 | 6;

/** What a packet must be like; all that is given must hold. */
export interface Match {
  /** A trailing `+` stands for any rest of the name. */
  readonly inInterface?: string;
  readonly outInterface?: string;
  /** `address/bits` */
  readonly source?: string;
  readonly destination?: string;
  readonly notDestination?: string;
  readonly isTcp?: true;
  readonly destinationPort?: number;
  readonly notDestinationPort?: number;
  readonly isEstablished?: true;
  readonly mark?: number;
  readonly notMark?: number;
  readonly connectionMark?: number;
  /** Of the process that sends; only in output chains. */
  readonly uid?: number;
  readonly gid?: number;
  readonly notUids?: readonly number[];
  readonly notGids?: readonly number[];
}

export type Target =
  | { readonly kind: 'return' | 'accept' | 'save-mark' | 'restore-mark' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'tproxy'; readonly port: number; readonly mark: number }
  | { readonly kind: 'mark'; readonly mark: number };

export interface Rule {
  readonly match: Match;
  readonly target: Target;
}

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

export type Hook = 'PREROUTING' | 'OUTPUT';
export type TableName = 'nat' | 'mangle';

/** The part of a table that is ours: chains of our own, and one jump into them for each hook. */
export interface Table {
  readonly name: TableName;
  readonly chains: readonly Chain[];
  readonly hooks: readonly { readonly hook: Hook; readonly rule: Rule }[];
}

/** Every chain that `install` may make, whatever its options: what `remove` takes out. */
export const OUR_CHAINS: readonly string[] = [
  'ISTIO_INBOUND',
  'ISTIO_REDIRECT',
  'ISTIO_IN_REDIRECT',
  'ISTIO_OUTPUT',
  'ISTIO_DIVERT',
  'ISTIO_TPROXY',
];

export const RETURN: Target = { kind: 'return' };

export function jump(chain: string): Target {
  return { kind: 'jump', chain };
}
