import { readFileSync } from 'node:fs';
import { InterceptError } from './intercept-error.ts';
import type { Outcome } from './program.ts';
import type { Family } from './rule.ts';

/** Bits of linux/capability.h. */
const CAPABILITIES = { NET_ADMIN: 12n, NET_RAW: 13n, SETUID: 7n, SETGID: 6n } as const;
export type Capability = keyof typeof CAPABILITIES;

/** Which of these this process does not have; none where the kernel does not tell. */
export function missingCapabilities(...names: Capability[]): Capability[] {
  const mask = effectiveCapabilities();
  return mask === undefined ? [] : names.filter((name) => ((mask >> CAPABILITIES[name]) & 1n) === 0n);
}

function effectiveCapabilities(): bigint | undefined {
  try {
    const [, mask] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return mask === undefined ? undefined : BigInt(`0x${mask}`);
  } catch {
    return undefined;
  }
}

/** How a program of netfilter or iproute2 fails, and what a person can do about it. */
export type FailureKind = 'permission' | 'module' | 'lock' | 'other';

export function failureKind({ stderr }: Outcome): FailureKind {
  if (/permission denied|operation not permitted|you must be root/i.test(stderr)) return 'permission';
  // The kernel has no such table, match or target, or nf_tables at all.
  if (
    /do you need to insmod|unable to initialize table|missing kernel module|operation not supported|protocol not supported|table does not exist|no chain\/target\/match by that name|couldn't load (?:match|target)|unable to initialize netlink/i.test(
      stderr,
    )
  )
    return 'module';
  return /xtables lock/i.test(stderr) ? 'lock' : 'other';
}

/** The error for what a program answered. */
export function failure(program: string, family: Family | undefined, outcome: Outcome): InterceptError {
  const name = program.split('/').at(-1) ?? program;
  const said = outcome.stderr.trim().split('\n')[0] || `it ended with ${outcome.code}`;
  const what = `${name}: ${said}`;
  const kind = failureKind(outcome);
  const missing = missingCapabilities('NET_ADMIN', 'NET_RAW');
  // Without the permission to ask, some programs say that there is nothing.
  if (missing.includes('NET_ADMIN') || (kind === 'permission' && missing.length > 0)) {
    return new InterceptError(
      `no permission to change the network: the capability ${missing.join(' and ')} is missing`,
      `run it as root with securityContext.capabilities.add: [NET_ADMIN, NET_RAW]; ${what}`,
    );
  }
  switch (kind) {
    case 'permission':
      return new InterceptError(what, 'this container may be forbidden it (seccomp, AppArmor)');
    case 'module':
      return new InterceptError(
        `the kernel lacks what the rules need: ${what}`,
        `on the node: modprobe ${modules(name, family)}; or try another --backend${family === 6 ? ', or --ipv6 off' : ''}`,
      );
    case 'lock':
      return new InterceptError(what, 'another program holds the lock of iptables; try again');
    case 'other':
      return new InterceptError(what);
  }
}

function modules(program: string, family: Family | undefined): string {
  if (/^nft$|-nft-/.test(program)) return 'nf_tables nft_chain_nat nft_compat xt_owner xt_REDIRECT xt_conntrack';
  const tables = family === 6 ? 'ip6table_nat ip6table_mangle' : 'iptable_nat iptable_mangle';
  return `${tables} xt_owner xt_REDIRECT xt_conntrack`;
}
