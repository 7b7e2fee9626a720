/**
 * The planner's rules once more, from docs/planner.md and by names, for policies without specs: no code of the planner is
 * used, so that a rule that it reads wrongly is found.
 */
export interface RawGraph {
  readonly cluster?: { readonly network_policies?: string; readonly undeclared_callers?: string };
  readonly services: Readonly<Record<string, RawService>>;
  readonly calls: readonly { readonly from: string; readonly to: string; readonly rate: number }[];
  readonly policies: readonly RawPolicy[];
}

interface RawService {
  readonly external?: boolean;
  /** `cpu`: cores of one replica's. */
  readonly sidecar?: false | { readonly cpu: number };
  readonly replicas?: number;
}

export interface RawPolicy {
  readonly name: string;
  readonly kind: string;
  readonly to: readonly string[];
  readonly from?: readonly string[];
  readonly side?: 'sender' | 'receiver';
  readonly after?: readonly string[];
  /** µs per request at the sender and at the receiver. */
  readonly cost: { readonly sender: { readonly cpu_us: number }; readonly receiver: { readonly cpu_us: number } };
}

export const PASS_MICROS = 20;

/** Per kind: where it can be, whether it protects, its place in the order. */
const KINDS: Readonly<Record<string, { sides: string; protects: boolean; isLoad?: boolean; rank: number }>> = {
  RequestAuthentication: { sides: 'either', protects: true, rank: 0 },
  AuthorizationPolicy: { sides: 'either', protects: true, rank: 1 },
  RateLimit: { sides: 'either', protects: true, isLoad: true, rank: 2 },
  AccessLog: { sides: 'either', protects: false, rank: -1 },
  RetryPolicy: { sides: 'sender', protects: false, rank: -1 },
};

type Choice = 'sender' | 'receiver';

interface Spot {
  readonly policy: RawPolicy;
  readonly receiver: string;
  readonly senders: readonly string[];
  readonly choices: readonly Choice[];
}

export interface Best {
  readonly adms: number;
  /** µs of CPU per second, of all sidecars; of the busiest replica's; µs of latency of all requests in a second. */
  readonly cpu: number;
  readonly busiest: number;
}

function spotsOf(graph: RawGraph): Spot[] {
  const { services, calls, policies, cluster = {} } = graph;
  const isBare = (name: string): boolean => services[name]!.external === true || services[name]!.sidecar === false;
  return policies.flatMap((policy) =>
    policy.to.flatMap((receiver): Spot[] => {
      const { sides, protects, isLoad = false } = KINDS[policy.kind]!;
      const callers = calls.filter(({ to }) => to === receiver).map(({ from }) => from);
      const senders = callers.filter((one) => policy.from?.includes(one) ?? true);
      if (senders.length === 0 && policy.from !== undefined) return [];
      const isClosed =
        cluster.network_policies === 'enforced' &&
        services[receiver]!.external !== true &&
        callers.every((one) => services[one]!.external !== true);
      const isSafe = !protects || isClosed || (isLoad && cluster.undeclared_callers === 'none');
      const choices = (['receiver', 'sender'] as const).filter((side) => {
        if (policy.side !== undefined && policy.side !== side) return false;
        if (sides !== 'either' && sides !== side) return false;
        if (side === 'receiver') return !isBare(receiver);
        return !senders.some(isBare) && isSafe && (senders.length > 0 || protects);
      });
      return [{ policy, receiver, senders, choices }];
    }),
  );
}

/** Whether two policies for one call may be at these sides: 'a' is to come before 'b', or beside it. */
function mayBe(a: Spot, sideA: Choice, b: Spot, sideB: Choice): boolean {
  if (a.receiver !== b.receiver) return true;
  const sharesCall = a.senders.some((one) => b.senders.includes(one));
  if (!sharesCall && a.senders.length > 0 && b.senders.length > 0) return true;
  const isAllow = (spot: Spot): boolean => spot.policy.kind === 'AuthorizationPolicy';
  if (isAllow(a) && isAllow(b)) return sideA === sideB;
  const [one, other] = [KINDS[a.policy.kind]!.rank, KINDS[b.policy.kind]!.rank];
  const isSaid = b.policy.after?.includes(a.policy.name) === true;
  const isContradicted = a.policy.after?.includes(b.policy.name) === true;
  const isFirst = isSaid || (!isContradicted && one !== -1 && one < other);
  return !(isFirst && sideA === 'receiver' && sideB === 'sender');
}

/** Every choice there is; undefined when none is possible. */
export function bestOf(graph: RawGraph): Best | undefined {
  const spots = spotsOf(graph);
  const sides: Choice[] = [];
  let best: Best | undefined;
  const visit = (at: number): void => {
    if (at < spots.length) {
      for (const side of spots[at]!.choices) {
        sides[at] = side;
        const isAllowed = spots
          .slice(0, at)
          .every(
            (one, index) => mayBe(one, sides[index]!, spots[at]!, side) && mayBe(spots[at]!, side, one, sides[index]!),
          );
        if (isAllowed) visit(at + 1);
      }
      return;
    }
    const found = costOf(graph, spots, sides);
    if (found === undefined) return;
    if (best === undefined || found.adms < best.adms) best = found;
    else if (found.adms === best.adms)
      best = { adms: best.adms, cpu: Math.min(best.cpu, found.cpu), busiest: Math.min(best.busiest, found.busiest) };
  };
  visit(0);
  return best;
}

/** Undefined where a sidecar would have to do more than it can. */
function costOf({ services, calls }: RawGraph, spots: readonly Spot[], sides: readonly Choice[]): Best | undefined {
  const load = new Map<string, number>();
  for (const [at, { receiver, senders }] of spots.entries())
    for (const name of sides[at] === 'receiver' ? [receiver] : senders) load.set(name, 0);
  const add = (name: string, micros: number): void => void load.set(name, load.get(name)! + micros);
  for (const { from, to, rate } of calls) {
    const running = (side: Choice): RawPolicy[] =>
      spots
        .filter((spot, at) => sides[at] === side && spot.receiver === to && spot.senders.includes(from))
        .map(({ policy }) => policy);
    const out = running('sender');
    const into = running('receiver');
    // Whoever could go around a guard would, so that nobody may.
    const isGuarded = spots.some(
      (spot, at) => sides[at] === 'receiver' && spot.receiver === to && KINDS[spot.policy.kind]!.protects,
    );
    const sum = (side: Choice, policies: readonly RawPolicy[]): number =>
      policies.reduce((total, { cost }) => total + cost[side].cpu_us, PASS_MICROS) * rate;
    if (out.length > 0) add(from, sum('sender', out));
    if (into.length > 0 || isGuarded) add(to, sum('receiver', into));
  }
  for (const [name, micros] of load) {
    const { sidecar, replicas = 1 } = services[name]!;
    if (typeof sidecar === 'object' && micros / replicas > sidecar.cpu * 1e6) return undefined;
  }
  const each = [...load].map(([name, micros]) => micros / (services[name]!.replicas ?? 1));
  return {
    adms: load.size,
    cpu: [...load.values()].reduce((sum, one) => sum + one, 0),
    busiest: Math.max(0, ...each),
  };
}
