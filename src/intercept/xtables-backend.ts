import type { ActiveRule, Backend, PlannedInput, Snapshot } from './backend.ts';
import type { InterceptOptions } from './options.ts';
import { removalInput, restoreInput } from './restore-input.ts';
import type { Family } from './rule.ts';
import { readIptablesRule } from './rule-reader.ts';
import { buildTables } from './rule-set.ts';
import { hasOurs, isOurs, jumpsIntoOurs, type SavedTable } from './saved-rules.ts';
import { Xtables, type XtablesKind } from './xtables.ts';

/** iptables-restore and ip6tables-restore, of either kind. */
export class XtablesBackend implements Backend {
  readonly name: XtablesKind;
  readonly #tools: Xtables;

  private constructor(tools: Xtables) {
    this.name = tools.kind;
    this.#tools = tools;
  }

  static find(kind: XtablesKind): XtablesBackend | undefined {
    const tools = Xtables.find(kind);
    return tools && new XtablesBackend(tools);
  }

  async read(families: readonly Family[]): Promise<Snapshot> {
    const saved = await Promise.all(
      families.map(async (family): Promise<[Family, SavedTable[]]> => [family, await this.#tools.read(family)]),
    );
    return new XtablesSnapshot(this.#tools, new Map(saved));
  }
}

class XtablesSnapshot implements Snapshot {
  readonly backend: XtablesKind;
  readonly #tools: Xtables;
  readonly #saved: ReadonlyMap<Family, readonly SavedTable[]>;

  constructor(tools: Xtables, saved: ReadonlyMap<Family, readonly SavedTable[]>) {
    this.backend = tools.kind;
    this.#tools = tools;
    this.#saved = saved;
  }

  get hasOurs(): boolean {
    return [...this.#saved.values()].some(hasOurs);
  }

  get hasForeign(): boolean {
    return [...this.#saved.values()].some((tables) =>
      tables.some((table) => table.rules.length > ourRules(table).length),
    );
  }

  get rules(): ActiveRule[] {
    return Array.from(this.#saved).flatMap(([family, tables]) =>
      tables.flatMap((table) =>
        ourRules(table).map((saved) => ({ family, table: table.name, rule: readIptablesRule(saved.text), ...saved })),
      ),
    );
  }

  planInstall(options: InterceptOptions, families: readonly Family[]): PlannedInput[] {
    return this.#planned(this.#installInputs(options, families));
  }

  install(options: InterceptOptions, families: readonly Family[]): Promise<void> {
    return this.#apply(this.#installInputs(options, families));
  }

  planRemoval(): PlannedInput[] {
    return this.#planned(this.#removalInputs());
  }

  remove(): Promise<void> {
    return this.#apply(this.#removalInputs());
  }

  /** By family; a family that is left out now is taken out if it was there. */
  #installInputs(options: InterceptOptions, families: readonly Family[]): Map<Family, string> {
    const inputs = this.#removalInputs();
    for (const family of families) {
      inputs.set(family, restoreInput(buildTables(options, family), this.#saved.get(family) ?? []));
    }
    return inputs;
  }

  #removalInputs(): Map<Family, string> {
    const inputs = Array.from(this.#saved, ([family, tables]): [Family, string] => [family, removalInput(tables)]);
    return new Map(inputs.filter(([, text]) => text !== ''));
  }

  #planned(inputs: ReadonlyMap<Family, string>): PlannedInput[] {
    return Array.from(inputs, ([family, text]) => ({
      command: `${family === 6 ? this.backend.replace('ip', 'ip6') : this.backend}-restore --noflush`,
      text,
    }));
  }

  /** Both families at once. When one fails, or one of its tables after another has been made, all go back. */
  async #apply(inputs: ReadonlyMap<Family, string>): Promise<void> {
    const outcomes = await Promise.all(
      Array.from(inputs, async ([family, text]) => ({ family, outcome: await this.#tools.apply(family, text) })),
    );
    const failed = outcomes.find(({ outcome }) => outcome.code !== 0);
    if (failed === undefined) return;
    await this.undo();
    throw this.#tools.fails(failed.family, failed.outcome);
  }

  async undo(): Promise<void> {
    for (const family of this.#saved.keys()) await this.#putBack(family);
  }

  async #putBack(family: Family): Promise<void> {
    const before = this.#saved.get(family) ?? [];
    const now = await this.#tools.read(family).catch(() => []);
    for (const table of now.filter((one) => hasOurs([one]))) {
      const was = before.find(({ name }) => name === table.name);
      if (was === undefined) await this.#tools.apply(family, removalInput([table]));
      else await this.#tools.putBack(family, was.text);
    }
  }
}

function ourRules(table: SavedTable): SavedTable['rules'] {
  const jumps = jumpsIntoOurs(table);
  return table.rules.filter((rule) => isOurs(rule.chain) || jumps.includes(rule));
}
