import type { ActiveRule, BackendName, Snapshot } from './backend.ts';
import { findBackends, noBackend, survey } from './backends.ts';
import { hasIpv6 } from './ipv6.ts';
import { meaningOf } from './meaning.ts';
import type { Family } from './rule.ts';
import { isOurs } from './saved-rules.ts';

/** What is installed, by one program. */
export interface Active {
  readonly backend: BackendName;
  readonly mode: 'redirect' | 'tproxy' | 'outbound only';
  readonly families: readonly Family[];
  readonly rules: readonly (ActiveRule & { readonly meaning: string })[];
}

export interface Shown {
  /** Usually none or one; several programs' rules are a mistake that `install` mends. */
  readonly active: readonly Active[];
  /** Why interception does not work as a whole; empty when it does. */
  readonly problems: readonly string[];
}

/** Reads the rules of all programs, with their counters. */
export async function readActive(): Promise<Snapshot[]> {
  const backends = findBackends();
  if (backends.length === 0) throw noBackend();
  const { snapshots, errors } = await survey(backends, [4, 6]);
  if (snapshots.length === 0 && errors[0] !== undefined) throw errors[0];
  return snapshots.filter((snapshot) => snapshot.hasOurs);
}

export async function show(): Promise<Shown> {
  const snapshots = await readActive();
  const active = snapshots.map(describe);
  return { active, problems: problemsOf(active) };
}

function describe({ backend, rules }: Snapshot): Active {
  const families = ([4, 6] as const).filter((family) => rules.some((rule) => rule.family === family));
  const has = (kind: string): boolean => rules.some(({ rule }) => rule?.target.kind === kind);
  const isHooked = rules.some(({ chain }) => chain === 'PREROUTING');
  const mode = has('tproxy') ? 'tproxy' : isHooked ? 'redirect' : 'outbound only';
  return { backend, mode, families, rules: rules.map((rule) => ({ ...rule, meaning: meaningOf(rule) })) };
}

function problemsOf(active: readonly Active[]): string[] {
  if (active.length === 0) return ['nothing is installed'];
  const problems: string[] = [];
  if (active.length > 1) {
    problems.push(`rules of ${active.map(({ backend }) => backend).join(' and ')} are active at once; install again`);
  }
  for (const { backend, families, rules } of active) {
    if (hasIpv6() && !families.includes(6))
      problems.push(`${backend}: IPv6 is not intercepted, and this namespace has it`);
    for (const family of families) {
      const ours = rules.filter((rule) => rule.family === family);
      const jumps = ours.filter(({ chain }) => !isOurs(chain));
      if (!jumps.some(({ chain }) => chain === 'OUTPUT'))
        problems.push(`${backend}, IPv${family}: nothing leads to the rules; install again`);
      jumps.forEach((jump, i) => {
        const isSame = (one: ActiveRule): boolean =>
          one.table === jump.table && one.chain === jump.chain && one.text === jump.text;
        const isDouble = jumps.findIndex(isSame) < i;
        if (isDouble) problems.push(`${backend}, IPv${family}: a jump is there twice; install again`);
      });
    }
  }
  return problems;
}
