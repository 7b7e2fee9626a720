import { readFileSync } from 'node:fs';
import { failure } from './failure.ts';
import { findProgram, type Outcome, runProgram } from './program.ts';
import type { Family } from './rule.ts';
import { parseSaved, type SavedTable } from './saved-rules.ts';

/** The two kinds of iptables, which the kernel keeps apart, and the one that the distribution calls just so. */
export type XtablesKind = 'iptables-nft' | 'iptables-legacy' | 'iptables';

/** One kind of iptables, as it is installed here. */
export class Xtables {
  readonly kind: XtablesKind;
  readonly #restore: Readonly<Record<Family, string>>;
  readonly #save: Readonly<Record<Family, string>>;

  private constructor(kind: XtablesKind, restore: Record<Family, string>, save: Record<Family, string>) {
    this.kind = kind;
    this.#restore = restore;
    this.#save = save;
  }

  /** Undefined when it is not installed. */
  static find(kind: XtablesKind): Xtables | undefined {
    const kind6 = kind.replace('ip', 'ip6');
    const [restore4, restore6, save4, save6] = [
      `${kind}-restore`,
      `${kind6}-restore`,
      `${kind}-save`,
      `${kind6}-save`,
    ].map(findProgram);
    if (restore4 === undefined || save4 === undefined) return undefined;
    return new Xtables(
      kind,
      { 4: restore4, 6: restore6 ?? `${kind6}-restore` },
      { 4: save4, 6: save6 ?? `${kind6}-save` },
    );
  }

  /** The tables as they are, with counters. */
  async read(family: Family): Promise<SavedTable[]> {
    if (this.kind === 'iptables-legacy' && !hasLegacyTables(family)) return [];
    const outcome = await runProgram(this.#save[family], ['-c']);
    if (outcome.code !== 0) throw failure(this.#save[family], family, outcome);
    return parseSaved(outcome.stdout);
  }

  /** One transaction for each table of the input; what it does not name stays. */
  apply(family: Family, input: string): Promise<Outcome> {
    return this.#run(family, ['--noflush'], input);
  }

  /** Puts whole tables back as they were, counters included. */
  putBack(family: Family, input: string): Promise<Outcome> {
    return this.#run(family, ['--counters'], input);
  }

  #run(family: Family, args: string[], input: string): Promise<Outcome> {
    // Legacy tables have a lock for all of the machine, nft has none and would complain.
    const wait = this.kind === 'iptables-legacy' ? ['--wait', '10'] : [];
    return runProgram(this.#restore[family], [...wait, ...args], input);
  }

  fails(family: Family, outcome: Outcome): Error {
    return failure(this.#restore[family], family, outcome);
  }
}

/** Whether this network namespace has tables of the old kind; asking them by iptables would make them. */
function hasLegacyTables(family: Family): boolean {
  try {
    const names = readFileSync(`/proc/self/net/ip${family === 6 ? '6' : ''}_tables_names`, 'utf8');
    return /^(?:nat|mangle)$/m.test(names);
  } catch (error) {
    // Not there: the kernel has none. Not readable: iptables itself will tell.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
