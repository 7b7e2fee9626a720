import { OUR_CHAINS } from './rule.ts';

/** A rule as iptables-save tells it. */
export interface SavedRule {
  readonly chain: string;
  /** What follows `-A <chain> `. */
  readonly text: string;
  readonly packets: number;
  readonly bytes: number;
}

export interface SavedTable {
  readonly name: string;
  readonly chains: readonly string[];
  readonly rules: readonly SavedRule[];
  /** As it was printed, from `*name` to `COMMIT`. */
  readonly text: string;
}

/** Reads what `iptables-save -c` printed. */
export function parseSaved(output: string): SavedTable[] {
  const tables: SavedTable[] = [];
  let lines: string[] | undefined;
  for (const line of output.split('\n')) {
    if (line.startsWith('*')) lines = [];
    lines?.push(line);
    if (line !== 'COMMIT' || lines === undefined) continue;
    tables.push(parseTable(lines));
    lines = undefined;
  }
  return tables;
}

function parseTable(lines: readonly string[]): SavedTable {
  const chains: string[] = [];
  const rules: SavedRule[] = [];
  for (const line of lines) {
    const [, chain] = /^:(\S+) /.exec(line) ?? [];
    if (chain !== undefined) chains.push(chain);
    const added = /^(?:\[(\d+):(\d+)\] )?-A (\S+) ?(.*)$/.exec(line);
    if (added === null) continue;
    const [, packets = '0', bytes = '0', of = '', text = ''] = added;
    rules.push({ chain: of, text, packets: Number(packets), bytes: Number(bytes) });
  }
  return { name: lines[0]?.slice(1) ?? '', chains, rules, text: `${lines.join('\n')}\n` };
}

export function isOurs(chain: string): boolean {
  return OUR_CHAINS.includes(chain);
}

/** The chain that a saved rule hands packets to, if any; comments may say anything. */
export function jumpTarget({ text }: SavedRule): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(text.replace(/"(?:[^"\\]|\\.)*"/g, '""'))?.[1];
}

/** The rules of other chains that lead into ours, by table. */
export function jumpsIntoOurs(table: SavedTable): SavedRule[] {
  return table.rules.filter((rule) => !isOurs(rule.chain) && isOurs(jumpTarget(rule) ?? ''));
}

/** Whether anything of ours is there. */
export function hasOurs(tables: readonly SavedTable[]): boolean {
  return tables.some((table) => table.chains.some(isOurs));
}
