import { InvalidArgumentError } from 'commander';
import type { Peer, PeerName } from '../../bench/peers/peer.ts';
import { UsageError } from './usage-error.ts';

/** The folder with the scenarios and the generators, which an installed package does not carry. @param who for the error */
export async function benchCheckout(who: string): Promise<string> {
  if (process.platform !== 'linux') throw new UsageError(`${who} reads CPU time from /proc: it runs on Linux only`);
  const { checkoutRoot } = await import('../../bench/run/root.ts');
  const root = checkoutRoot();
  if (root === undefined) throw new UsageError(`${who} runs from a checkout of the repository only`);
  return root;
}

/** The named peers, which must all be there; without names those of the usual ones that are. */
export async function choosePeers(
  root: string,
  names: readonly string[] | undefined,
  usual: readonly PeerName[],
): Promise<Peer[]> {
  const { findPeer, parsePeerName } = await import('../../bench/peers/index.ts');
  const wanted = names === undefined ? usual : names.map((name) => asUsage(() => parsePeerName(name)));
  const peers: Peer[] = [];
  for (const name of wanted) {
    const found = findPeer(name, root);
    if ('peer' in found) peers.push(found.peer);
    else if (names !== undefined) throw new UsageError(`${name}: ${found.missing}`);
    else process.stderr.write(`outrigger: without ${name}: ${found.missing}\n`);
  }
  return peers;
}

/** Turns a selection's error into one of the command line. */
export function asUsage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Collects lists separated by commas, from an option that may be repeated. */
export function collect(text: string, before: string[] | undefined): string[] {
  return [
    ...(before ?? []),
    ...text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  ];
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('it must be a whole number above 0.');
  return count;
}

const EXIT_INTERRUPTED = 130;

/** Runs what starts processes: a signal ends them, and this one. */
export async function interruptible(run: () => Promise<void>): Promise<void> {
  const { killAll } = await import('../../bench/run/children.ts');
  const interrupt = (): void => {
    process.stderr.write('\noutrigger: interrupted, ending what was started\n');
    killAll();
    process.exit(EXIT_INTERRUPTED);
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    await run();
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}
