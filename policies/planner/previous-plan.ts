import { parseSource } from '../../src/config/document.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { readText } from '../../src/config/load.ts';
import { refuseOtherKind } from '../input-kind.ts';
import type { Previous } from './optimize.ts';
import { PLAN_SCHEMA, type Plan } from './plan.ts';
import type { PlanProblem } from './problem.ts';

/** An earlier plan as `--output` has written it, JSON or YAML. @throws ConfigError */
export function readPlan(file: string): Plan {
  const source = parseSource(readText(file));
  if (Array.isArray(source)) throw new ConfigError(file, source);
  refuseOtherKind(file, source.data, 'plan');
  const data = source.data as Partial<Plan> | null;
  const wrong = (path: string, message: string): never => {
    throw new ConfigError(file, [
      { line: 1, column: 1, path, message, allowed: `a plan of outrigger plan --json or --output` },
    ]);
  };
  if (data?.schema !== PLAN_SCHEMA) wrong('schema', `is not ${PLAN_SCHEMA}`);
  const isText = (value: unknown): boolean => typeof value === 'string';
  if (!Array.isArray(data!.adms) || !data!.adms.every((adm) => isText(adm?.service)))
    wrong('adms', 'is no list of ADMs');
  const isPlacement = (one: Plan['placements'][number] | null): boolean =>
    isText(one?.policy) &&
    isText(one?.receiver) &&
    ['sender', 'receiver', 'both'].includes(String(one?.side)) &&
    (one?.senders === undefined || (Array.isArray(one.senders) && one.senders.every(isText)));
  if (!Array.isArray(data!.placements) || !data!.placements.every(isPlacement))
    wrong('placements', 'is no list of placements');
  if (data!.services !== undefined && !(Array.isArray(data!.services) && data!.services.every(isText)))
    wrong('services', 'is no list of services');
  return data as Plan;
}

/** What of an earlier plan is still there. */
export function previousOf({ graph, placements }: PlanProblem, plan: Plan): Previous {
  const adms = new Set(plan.adms.map(({ service }) => service));
  const mentioned = new Set([
    ...adms,
    // Plans of before there was this list have none.
    ...(plan.services ?? []),
    ...plan.placements.flatMap(({ receiver, senders }) => [receiver, ...(senders ?? [])]),
  ]);
  const sideOf = new Map(plan.placements.map(({ policy, receiver, side }) => [`${policy} ${receiver}`, side]));
  const known = placements.map(({ policy, receiver, isBoth }) =>
    isBoth ? undefined : sideOf.get(`${policy.name} ${graph.services[receiver]!.name}`),
  );
  return {
    assignment: {
      adms: new Set([...graph.services.keys()].filter((index) => adms.has(graph.services[index]!.name))),
      sides: known.map((side) => (side === 'sender' ? 'sender' : 'receiver')),
    },
    services: new Set([...graph.services.keys()].filter((index) => mentioned.has(graph.services[index]!.name))),
    placements: new Set(
      [...placements.keys()].filter((index) => known[index] === 'sender' || known[index] === 'receiver'),
    ),
  };
}

/** What is different, one line each. */
export function changesOf(before: Plan, after: Plan): string[] {
  const old = new Set(before.adms.map(({ service }) => service));
  const now = new Set(after.adms.map(({ service }) => service));
  const sideOf = new Map(before.placements.map(({ policy, receiver, side }) => [`${policy} ${receiver}`, side]));
  const left = new Set(after.placements.map(({ policy, receiver }) => `${policy} ${receiver}`));
  return [
    ...[...now].filter((service) => !old.has(service)).map((service) => `${service} gets an ADM`),
    ...[...old].filter((service) => !now.has(service)).map((service) => `${service} loses its ADM`),
    ...after.placements.flatMap(({ policy, receiver, side, at }) => {
      const was = sideOf.get(`${policy} ${receiver}`);
      if (was === undefined) return [`"${policy}" at ${receiver} is new, at ${at.join(', ')}`];
      return was === side
        ? []
        : [`"${policy}" at ${receiver} moves from the ${was} to the ${side}, at ${at.join(', ')}`];
    }),
    ...before.placements
      .filter(({ policy, receiver }) => !left.has(`${policy} ${receiver}`))
      .map(({ policy, receiver }) => `"${policy}" at ${receiver} is gone`),
  ];
}
