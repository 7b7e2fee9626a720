import { BACKENDS, type Backend, type BackendName, type Snapshot } from './backend.ts';
import { InterceptError } from './intercept-error.ts';
import { NftBackend } from './nft-backend.ts';
import type { Family } from './rule.ts';
import { XtablesBackend } from './xtables-backend.ts';

/** The programs that are installed, the one that is to be preferred first. */
export function findBackends(): Backend[] {
  const found: Backend[] = [];
  for (const name of BACKENDS) {
    // Where the two kinds have names of their own, the plain one is one of them.
    if (name === 'iptables' && found.length > 0) continue;
    const backend = name === 'nft' ? NftBackend.find() : XtablesBackend.find(name);
    if (backend !== undefined) found.push(backend);
  }
  return found;
}

/** The programs' views of the kernel, and why some could not tell. */
export interface Survey {
  readonly snapshots: readonly Snapshot[];
  readonly errors: readonly Error[];
}

/** Asks all of them at once. One that fails says nothing about the others: kernels often have one kind only. */
export async function survey(backends: readonly Backend[], families: readonly Family[]): Promise<Survey> {
  const results = await Promise.allSettled(backends.map((backend) => backend.read(families)));
  return {
    snapshots: results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
    errors: results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : [])),
  };
}

/** The installed program of that name. */
export function backendNamed(name: BackendName, installed: readonly Backend[]): Backend {
  const found =
    installed.find((backend) => backend.name === name) ?? (name === 'iptables' ? XtablesBackend.find(name) : undefined);
  if (found !== undefined) return found;
  const others = installed.map((backend) => backend.name).join(', ');
  throw new InterceptError(
    `${name} is not installed`,
    others === '' ? 'apt-get install iptables, or nftables' : `installed are: ${others}`,
  );
}

export function noBackend(): InterceptError {
  return new InterceptError('neither iptables nor nft is installed', 'apt-get install iptables, or nftables');
}
