import type { ActiveRule, Backend, PlannedInput, Snapshot } from './backend.ts';
import { failure } from './failure.ts';
import { NFT_FAMILIES, NFT_TABLES, nftTable } from './nft-text.ts';
import type { InterceptOptions } from './options.ts';
import { findProgram, runProgram } from './program.ts';
import type { Family } from './rule.ts';
import { readNftRule } from './rule-reader.ts';
import { buildTables } from './rule-set.ts';

/** nftables itself, with tables of our own: others' rules are out of reach. */
export class NftBackend implements Backend {
  readonly name = 'nft';
  readonly #nft: string;

  private constructor(nft: string) {
    this.#nft = nft;
  }

  static find(): NftBackend | undefined {
    const path = findProgram('nft');
    return path === undefined ? undefined : new NftBackend(path);
  }

  async read(): Promise<Snapshot> {
    const list = await this.#run(['list', 'tables']);
    const tables = OUR_TABLES.filter((table) => list.split('\n').includes(`table ${table}`));
    const listings = await Promise.all(
      tables.map(
        async (table): Promise<[string, string]> => [table, await this.#run(['list', 'table', ...table.split(' ')])],
      ),
    );
    return new NftSnapshot(this, new Map(listings));
  }

  async apply(input: string): Promise<void> {
    await this.#run(['-f', '-'], input);
  }

  async #run(args: string[], input?: string): Promise<string> {
    const outcome = await runProgram(this.#nft, args, input);
    if (outcome.code !== 0) throw failure(this.#nft, undefined, outcome);
    return outcome.stdout;
  }
}

const OUR_TABLES = Object.values(NFT_FAMILIES).flatMap((ip) =>
  Object.values(NFT_TABLES).map((table) => `${ip} ${table}`),
);

class NftSnapshot implements Snapshot {
  readonly backend = 'nft';
  readonly hasForeign = false;
  readonly #nft: NftBackend;
  /** Listings by table, as in `ip outrigger_nat`. */
  readonly #listings: ReadonlyMap<string, string>;

  constructor(nft: NftBackend, listings: ReadonlyMap<string, string>) {
    this.#nft = nft;
    this.#listings = listings;
  }

  get hasOurs(): boolean {
    return this.#listings.size > 0;
  }

  get rules(): ActiveRule[] {
    return Array.from(this.#listings).flatMap(([table, listing]) => parseListing(table, listing));
  }

  planInstall(options: InterceptOptions, families: readonly Family[]): PlannedInput[] {
    const made = families.flatMap((family) => buildTables(options, family).map((table) => nftTable(table, family)));
    return [{ command: 'nft -f -', text: dropTables() + made.join('') }];
  }

  async install(options: InterceptOptions, families: readonly Family[]): Promise<void> {
    for (const { text } of this.planInstall(options, families)) await this.#nft.apply(text);
  }

  planRemoval(): PlannedInput[] {
    if (!this.hasOurs) return [];
    const text = Array.from(this.#listings.keys(), (table) => `delete table ${table}\n`).join('');
    return [{ command: 'nft -f -', text }];
  }

  async remove(): Promise<void> {
    for (const { text } of this.planRemoval()) await this.#nft.apply(text);
  }

  async undo(): Promise<void> {
    await this.#nft.apply(dropTables() + Array.from(this.#listings.values()).join(''));
  }
}

/** Declares each first, so that one can be deleted that may not be there: with what follows, one transaction. */
function dropTables(): string {
  return OUR_TABLES.map((table) => `table ${table}\ndelete table ${table}\n`).join('');
}

function parseListing(table: string, listing: string): ActiveRule[] {
  const [ip = '', name = ''] = table.split(' ');
  const rules: ActiveRule[] = [];
  let chain = '';
  for (const line of listing.split('\n').map((text) => text.trim())) {
    chain = /^chain (\S+) \{$/.exec(line)?.[1] ?? chain;
    const counted = /^(.*?) ?counter packets (\d+) bytes (\d+) ?(.*)$/.exec(line);
    if (counted === null) continue;
    const [, before = '', packets, bytes, after = ''] = counted;
    const text = [before, after].filter(Boolean).join(' ');
    rules.push({
      family: ip === 'ip6' ? 6 : 4,
      table: name,
      chain,
      text,
      rule: readNftRule(text),
      packets: Number(packets),
      bytes: Number(bytes),
    });
  }
  return rules;
}
