import { iptablesRule } from './iptables-text.ts';
import type { Table } from './rule.ts';
import { isOurs, jumpsIntoOurs, type SavedTable } from './saved-rules.ts';

/**
 * The input of `iptables-restore --noflush` that makes the rules of one family of what is there: nothing, the same, other
 * ones, or half of an installation. Each table is one transaction. Rules of others are not touched.
 *
 * @param saved the tables as they are
 */
export function restoreInput(tables: readonly Table[], saved: readonly SavedTable[]): string {
  const untouched = saved.filter(({ name }) => !tables.some((table) => table.name === name));
  const texts = tables.map((table) =>
    transaction(
      table.name,
      saved.find(({ name }) => name === table.name),
      table,
    ),
  );
  return [...texts, ...untouched.map((table) => transaction(table.name, table, undefined))].join('');
}

/** The input that takes out all that is ours; empty when nothing is. */
export function removalInput(saved: readonly SavedTable[]): string {
  return restoreInput([], saved);
}

function transaction(name: string, saved: SavedTable | undefined, wanted: Table | undefined): string {
  const chains = wanted?.chains.map((chain) => chain.name) ?? [];
  const stale = saved?.chains.filter((chain) => isOurs(chain) && !chains.includes(chain)) ?? [];
  if (wanted === undefined && stale.length === 0) return '';
  const lines = [`*${name}`];
  // Declares a chain, and empties it if it is there.
  for (const chain of [...chains, ...stale]) lines.push(`:${chain} - [0:0]`);
  const jumps = wanted?.hooks.map(({ hook, rule }) => `${hook} ${iptablesRule(rule)}`) ?? [];
  const missing = new Set(jumps);
  // A jump that is there stays where it is; the first of doubles would be deleted, so they go until one is left.
  const present = (saved === undefined ? [] : jumpsIntoOurs(saved)).map(({ chain, text }) => `${chain} ${text}`);
  present.forEach((jump, i) => {
    const isLast = present.indexOf(jump, i + 1) < 0;
    if (!(isLast && missing.delete(jump))) lines.push(`-D ${jump}`);
  });
  for (const chain of wanted?.chains ?? []) {
    for (const rule of chain.rules) lines.push(`-A ${chain.name} ${iptablesRule(rule)}`);
  }
  for (const jump of missing) lines.push(`-A ${jump}`);
  for (const chain of stale) lines.push(`-X ${chain}`);
  return `${lines.join('\n')}\nCOMMIT\n`;
}
