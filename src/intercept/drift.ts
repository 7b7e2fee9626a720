import { isDeepStrictEqual } from 'node:util';
import type { ActiveRule } from './backend.ts';
import { iptablesRule } from './iptables-text.ts';
import type { InterceptOptions } from './options.ts';
import type { Family, Rule } from './rule.ts';
import { buildTables } from './rule-set.ts';

/** Where the active rules of a family are not what these options make, in words; empty where they are. */
export function drift(options: InterceptOptions, family: Family, active: readonly ActiveRule[]): string[] {
  const problems: string[] = [];
  const ours = active.filter((rule) => rule.family === family);
  const chains = new Map<string, (Rule | string)[]>();
  for (const { table, chain, rule, text } of ours) {
    // nftables has them in tables of our own.
    const key = `${table.replace('outrigger_', '')} ${chain}`;
    const rules = chains.get(key) ?? [];
    chains.set(key, [...rules, rule ?? text]);
  }
  for (const table of buildTables(options, family)) {
    const wanted = new Map<string, readonly Rule[]>(table.chains.map(({ name, rules }) => [name, rules]));
    for (const { hook, rule } of table.hooks) wanted.set(hook, [rule]);
    for (const [chain, rules] of wanted) {
      const key = `${table.name} ${chain}`;
      problems.push(...compare(`IPv${family} ${key}`, rules, chains.get(key) ?? []));
      chains.delete(key);
    }
  }
  for (const [key, rules] of chains) problems.push(...compare(`IPv${family} ${key}`, [], rules));
  return problems;
}

function compare(where: string, wanted: readonly Rule[], there: readonly (Rule | string)[]): string[] {
  if (isDeepStrictEqual(wanted, there)) return [];
  const missing = wanted.filter((rule) => !there.some((one) => isDeepStrictEqual(one, rule)));
  const strange = there.filter((one) => !wanted.some((rule) => isDeepStrictEqual(one, rule)));
  if (missing.length + strange.length === 0) return [`${where}: the rules are in another order, or doubled`];
  return [
    ...missing.map((rule) => `${where}: missing: ${iptablesRule(rule)}`),
    ...strange.map((rule) => `${where}: not of these options: ${typeof rule === 'string' ? rule : iptablesRule(rule)}`),
  ];
}
