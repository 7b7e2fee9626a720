import { Command, InvalidArgumentError, Option } from 'commander';

/** Options of `outrigger plan`, as commander has them. */
export interface PlanFlags {
  readonly objective: 'cpu' | 'balance' | 'latency';
  readonly costs?: string;
  readonly previous?: string;
  readonly slack?: number;
  readonly survive?: 1;
  readonly timeLimit: number;
  readonly json?: true;
  readonly output?: string;
}

const TEACHING = `
A call graph looks like this; docs/planner.md tells every field, examples/call-graphs has whole ones.

  services:
    web: {}
    cart: { replicas: 3 }
    db: { sidecar: false }             # takes none
    browser: { external: true }        # outside of the cluster
  calls:
    - { from: browser, to: web, rate: 200 }      # requests per second
    - { from: [web, cart], to: db, rate: 500 }
  policies:
    - { name: tokens, kind: RequestAuthentication, to: web }
    - { name: db-limit, kind: RateLimit, to: db }
  cluster:
    network_policies: enforced         # a receiver can be closed to whoever is not in the graph

Each policy goes to its receiver's ingress or to all of its senders' egress, so that the fewest sidecars (ADMs) are needed;
among the smallest sets --objective decides. What protects a receiver leaves it only when a NetworkPolicy closes it.

Try it
  outrigger plan examples/call-graphs/shop.yaml
  outrigger plan examples/call-graphs/shop.yaml --output plan/
  outrigger run -c plan/sidecars/web.yaml
  outrigger plan changed.yaml --previous plan/plan.json      # moves as little as possible

Exit codes: 0 a plan; 1 the solver failed; 2 the input is wrong, or no plan is possible (it says which constraints clash).`;

/** `outrigger plan`: where the policies of a call graph run. */
export function planCommand(): Command {
  return new Command('plan')
    .description('Finds the smallest set of sidecars that enforces the policies of a call graph, and says why.')
    .argument('<files...>', 'call graphs, and policies as outrigger policy has them')
    .addOption(
      new Option('--objective <what>', 'among the smallest: least CPU, most even load, lowest latency')
        .choices(['cpu', 'balance', 'latency'])
        .default('cpu'),
    )
    .option(
      '--costs <file>',
      'cost profile, as outrigger characterize --costs writes it; unless given, the one measured on this project',
    )
    .option('--previous <file>', 'plan.json of an earlier plan: the new one moves as little as possible')
    .option('--slack <number>', 'with --previous: so many ADMs more than the smallest number', parseCount)
    .option('--survive <number>', 'the plan outlives the loss of any one ADM: 1', parseSurvive)
    .option(
      '--time-limit <seconds>',
      'longest wait for all of it; then the best plan so far, with its gap',
      parseSeconds,
      45,
    )
    .option('--json', 'the plan as JSON on standard output')
    .option('--output <dir>', 'write plan.json, pictures, network policies and a configuration for each sidecar')
    .addHelpText('after', TEACHING)
    .action(async (files: string[], flags: PlanFlags) => {
      const { plan } = await import('./plan-run.ts');
      process.exitCode = await plan(files, flags);
    });
}

function parseCount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It is a whole number.');
  return Number(text);
}

function parseSurvive(text: string): 1 {
  if (text !== '1') throw new InvalidArgumentError('Only the loss of 1 ADM at a time is planned for.');
  return 1;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || !(seconds > 0) || seconds > 86_400)
    throw new InvalidArgumentError('It is a number of seconds, more than 0.');
  return seconds;
}
