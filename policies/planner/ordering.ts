import type { PlannedPolicy, Stage } from './planned-policy.ts';

const STAGES: readonly Stage[] = ['authentication', 'authorization', 'limit'];

/** Why two policies that hold for one call must keep to an order, or stay together. */
export interface Order {
  /** `before`: the first comes first on the request's way; `beside`: both in one proxy. */
  readonly rule: 'before' | 'beside';
  readonly because: string;
}

/** What binds `first` to `second` wherever both hold; undefined: nothing in this direction. */
export function orderOf(first: PlannedPolicy, second: PlannedPolicy): Order | undefined {
  if (second.beside.includes(first.name) || first.beside.includes(second.name))
    return { rule: 'beside', because: `"${first.name}" and "${second.name}" are to be beside each other` };
  if (first.semantics.stage === 'authentication' && second.semantics.needsClaims)
    return { rule: 'beside', because: `"${second.name}" reads the claims that "${first.name}" has verified` };
  if (first.semantics.isAllow && second.semantics.isAllow)
    return { rule: 'beside', because: `one of the ALLOW policies "${first.name}" and "${second.name}" must hold` };
  if (second.after.includes(first.name))
    return { rule: 'before', because: `"${second.name}" is to come after "${first.name}"` };
  if (isBefore(first, second)) return { rule: 'before', because: whyBefore(first, second) };
  return undefined;
}

/** Who may call is settled before what was let through is counted. */
function isBefore(first: PlannedPolicy, second: PlannedPolicy): boolean {
  if (first.unordered || second.unordered) return false;
  // What the writer says of the two counts more than what their kinds suggest.
  if (first.after.includes(second.name)) return false;
  const [one, other] = [first, second].map(({ semantics }) => STAGES.indexOf(semantics.stage));
  return one !== -1 && one! < other! && first.semantics.sides !== 'both' && second.semantics.sides !== 'both';
}

function whyBefore(first: PlannedPolicy, second: PlannedPolicy): string {
  return second.semantics.stage === 'limit'
    ? `"${second.name}" counts only what "${first.name}" lets through`
    : `"${second.name}" decides by what "${first.name}" has verified`;
}

/** Policies that wait for each other by `after`, the first one again at the end; undefined when there are none. */
export function orderingCycle(policies: readonly PlannedPolicy[]): string[] | undefined {
  const byName = new Map(policies.map((policy) => [policy.name, policy]));
  const settled = new Set<string>();
  for (const { name } of policies) {
    // A stack of its own: orders may be as long as the list of policies.
    const path = new Map<string, Iterator<string>>();
    const enter = (one: string): void => {
      path.set(one, (byName.get(one)?.after ?? [])[Symbol.iterator]());
    };
    const stack: string[] = [];
    if (!settled.has(name)) {
      enter(name);
      stack.push(name);
    }
    for (let current = stack.at(-1); current !== undefined; current = stack.at(-1)) {
      const { value: next, done } = path.get(current)!.next();
      if (done === true) {
        path.delete(current);
        settled.add(stack.pop()!);
      } else if (path.has(next)) return [...stack.slice(stack.indexOf(next)), next];
      else if (!settled.has(next)) {
        enter(next);
        stack.push(next);
      }
    }
  }
  return undefined;
}

/** Policies in an order that keeps every `before`; those that nothing binds stay as they stand. */
export function inOrder(policies: readonly PlannedPolicy[]): PlannedPolicy[] {
  const left = [...policies];
  const sorted: PlannedPolicy[] = [];
  while (left.length > 0) {
    const index = left.findIndex((one) =>
      left.every((other) => other === one || orderOf(other, one)?.rule !== 'before'),
    );
    sorted.push(...left.splice(Math.max(0, index), 1));
  }
  return sorted;
}
