import { join } from 'node:path';
import { Command } from 'commander';
import type { CharacterizePlan } from '../../bench/characterize/plan.ts';
import type { Characterization } from '../lab/characterize/characterization.ts';
import { asUsage, benchCheckout, choosePeers, collect, interruptible, parseCount } from './bench-options.ts';
import { EXIT } from './exit-code.ts';
import { checkOutput, refuseSame, writeOutput } from './output.ts';
import { UsageError } from './usage-error.ts';

interface CharacterizeOptions {
  readonly quick?: true;
  readonly configuration?: string[];
  readonly peer?: string[];
  readonly rounds?: number;
  readonly duration?: number;
  readonly levels: boolean;
  readonly breakdown: boolean;
  readonly sizes: boolean;
  readonly sizeBreakdown?: true;
  readonly list?: true;
  readonly json?: string;
  readonly text?: string;
  readonly markdown?: string;
  readonly costs?: string;
}

const HELP = `
What it answers
  What a proxy costs by what it is configured to do, for any proxy that can do it, as Sahu et al. found out for Envoy by
  hand ("Understanding Sidecars in Cloud Orchestration", SESAME 2025): CPU per request of each filter, of filters
  together, by load, by message size, and by component. docs/characterization.md says how it is measured and read.

Configurations
  The eleven of the paper and those of its public benchmark, by the public names: --configuration http,ratelimit,iptag*
  Groups: paper, all (the default). A mix is held to its parts only where both are measured: --list shows the parts.

What is measured, for each proxy and configuration
  As fast as it goes (closed loop, 32 connections, 100-byte bodies): requests/s, CPU of its process per request.
  At 20 and 50 % of a core: a rate guessed from that, corrected by a probe, then held by schedule; latency counts from
  the moment at which a request was due. 100 % is the first measurement, with the closed loop's latency.
  With responses of 16 KiB to 1 MiB: tcp, http, tls and tls_http, as fast as it goes.
  Where the time goes, by samples of perf (linux-perf), and events per request; without perf a warning says so.
  Every round takes all proxies and configurations, in fresh processes, every other round in reverse order. The proxy has
  the first core to itself, load and backend share the others. Let nothing else run beside it.

Examples
  outrigger characterize --quick                        five configurations in less than four minutes
  outrigger characterize                                everything, for outrigger and envoy; says first how long
  outrigger characterize --configuration http,ratelimit,iptag,iprate_iptag --no-sizes --rounds 5
  outrigger characterize --configuration tcp,http --peer outrigger,envoy,nginx,haproxy
  outrigger report                                      the last run as a page

Files
  .bench/characterization.json is always written: what outrigger report reads.

Exit codes: 0 done, 1 a proxy failed or nothing could be measured, 2 the command line is wrong, 130 interrupted.
`;

/** `outrigger characterize`: what filters cost, alone and together, by load and by message size. */
export function characterizeCommand(): Command {
  return new Command('characterize')
    .exitOverride()
    .description('Measures what each filter and each mix of filters costs a proxy, at several loads and message sizes.')
    .option('--quick', 'a first look: few configurations, one short round, done within four minutes')
    .option('--configuration <list>', 'what to measure; may be repeated', collect)
    .option('--peer <list>', 'outrigger, envoy, nginx, haproxy; default: outrigger and envoy', collect)
    .option('--rounds <n>', 'rounds of each load, default 3, of fixed rates 2', parseCount)
    .option(
      '--duration <seconds>',
      'length of each measured load, whole seconds, default 2; from 2 on saturation has one more, and its cheapest second counts',
      parseCount,
    )
    .option('--no-levels', 'saturation only, no fixed rates')
    .option('--no-breakdown', 'leave out where the CPU time goes')
    .option('--no-sizes', 'leave out the sweep of message sizes')
    .option('--size-breakdown', 'where the CPU time goes with each message size too; ten seconds for each')
    .option('--list', 'list the configurations, and end')
    .option('--json <file>', 'write every figure there too')
    .option('--text <file>', 'write the tables as plain text')
    .option('--markdown <file>', 'write the tables as Markdown')
    .option('--costs <file>', 'write the cost profile that outrigger plan --costs reads; needs the configuration http')
    .allowExcessArguments(false)
    .addHelpText('after', HELP)
    .action(characterize);
}

async function characterize(options: CharacterizeOptions): Promise<void> {
  if (options.list) return list();
  const root = await benchCheckout('characterize');
  const plan = await makePlan(root, options);
  if (options.costs !== undefined && !plan.configurations.some(({ name }) => name === 'http'))
    throw new UsageError(
      '--costs: the costs of policies are differences from the configuration http, which is not measured',
    );
  const outputs = [options.json, options.text, options.markdown, options.costs];
  refuseSame(outputs);
  for (const file of outputs) checkOutput(file);
  const [{ characterize: run, CHARACTERIZATION_FILE }, { planSeconds, subjects }, { formatSeconds }] =
    await Promise.all([
      import('../../bench/characterize/characterize.ts'),
      import('../../bench/characterize/plan.ts'),
      import('../../bench/run/progress.ts'),
    ]);
  // Of nothing, a result would take the place of the last one.
  if (subjects(plan).length === 0)
    throw new UsageError(
      `${plan.peers.map(({ name }) => name).join(' and ')} can do none of ${plan.configurations.map(({ name }) => name).join(', ')}`,
      'outrigger and envoy can do all of them',
    );
  const { length } = plan.configurations;
  process.stderr.write(
    `outrigger: ${length} ${length === 1 ? 'configuration' : 'configurations'}, about ${formatSeconds(planSeconds(plan))} minutes\n`,
  );
  await interruptible(async () => {
    const found = await run(root, plan, commandLine(options));
    await write(found, join(root, CHARACTERIZATION_FILE), options);
    if (options.costs !== undefined) await writeCosts(found, options.costs);
    if (hasFailures(found)) process.exitCode = EXIT.failure;
  });
}

async function makePlan(root: string, options: CharacterizeOptions): Promise<CharacterizePlan> {
  const [{ CONFIGURATIONS, selectConfigurations }, { QUICK, WHOLE }, { LEVELS }] = await Promise.all([
    import('../../bench/characterize/configurations.ts'),
    import('../../bench/characterize/plan.ts'),
    import('../lab/characterize/characterization.ts'),
  ]);
  const quick = options.quick === true;
  const wanted = options.configuration;
  const configurations =
    wanted !== undefined
      ? asUsage(() => selectConfigurations(wanted))
      : CONFIGURATIONS.filter(({ isQuick }) => !quick || isQuick === true);
  if (configurations.every(({ open }) => open !== undefined))
    throw new UsageError(configurations.map(({ name, open }) => `${name} is open: it ${open}`).join('; '));
  if (options.peer?.includes('direct') === true)
    throw new UsageError('--peer direct: without a proxy there is nothing to characterize');
  const pace = quick ? QUICK : WHOLE;
  return {
    ...pace,
    configurations,
    peers: await choosePeers(root, options.peer, ['outrigger', 'envoy']),
    rounds: options.rounds ?? pace.rounds,
    levelRounds: options.rounds ?? pace.levelRounds,
    durationS: options.duration ?? pace.durationS,
    levels: options.levels ? LEVELS.filter((level) => level < 1) : [],
    breakdown: options.breakdown,
    sizes: options.sizes ? pace.sizes : [],
    sizeBreakdown: options.sizeBreakdown === true,
  };
}

async function list(): Promise<void> {
  const { CONFIGURATIONS } = await import('../../bench/characterize/configurations.ts');
  const rows = CONFIGURATIONS.map(({ name, title, inPaper, scenario, open, parts }) => [
    name,
    inPaper ? title : '',
    scenario ?? `open: ${open}`,
    parts.join(' + '),
  ]);
  rows.unshift(['Configuration', 'In the paper', 'Scenario of bench', 'Parts']);
  const lines = rows.map(([name = '', title = '', scenario = '', parts = '']) =>
    `${name.padEnd(19)}${title.padEnd(18)}${scenario.padEnd(24)}${parts}`.trimEnd(),
  );
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function write(found: Characterization, file: string, options: CharacterizeOptions): Promise<void> {
  const json = `${JSON.stringify(found, undefined, 2)}\n`;
  for (const to of new Set([file, options.json])) {
    if (to === undefined) continue;
    writeOutput(to, json);
  }
  // What took so long is safe before anything is made of it.
  const { characterizationMarkdown, characterizationText } = await import(
    '../lab/characterize/characterization-text.ts'
  );
  const text = characterizationText(found);
  process.stdout.write(text);
  if (options.text !== undefined) writeOutput(options.text, text);
  if (options.markdown !== undefined) writeOutput(options.markdown, characterizationMarkdown(found));
}

/** Outrigger's costs; where it was not measured, those of the first proxy that was. */
async function writeCosts(found: Characterization, file: string): Promise<void> {
  const { costProfileOf, costProfileYaml } = await import('../../policies/planner/characterized-profile.ts');
  const names = found.peers.map(({ name }) => name);
  const text = costProfileYaml(costProfileOf(found, names.includes('outrigger') ? 'outrigger' : names[0]));
  writeOutput(file, text);
}

/** A row that is open has no peers, and is no failure. */
function hasFailures({ configurations, sizes }: Characterization): boolean {
  const rows = [...configurations, ...sizes].flatMap(({ peers }) => peers);
  return rows.length === 0 || rows.some(({ error }) => error !== undefined);
}

/** The same run again, without the files that this one wrote. */
function commandLine(options: CharacterizeOptions): string {
  const parts = ['outrigger characterize'];
  if (options.quick) parts.push('--quick');
  if (options.configuration) parts.push(`--configuration '${options.configuration.join(',')}'`);
  if (options.peer) parts.push(`--peer ${options.peer.join(',')}`);
  if (options.rounds !== undefined) parts.push(`--rounds ${options.rounds}`);
  if (options.duration !== undefined) parts.push(`--duration ${options.duration}`);
  for (const part of ['levels', 'breakdown', 'sizes'] as const) if (!options[part]) parts.push(`--no-${part}`);
  if (options.sizeBreakdown) parts.push('--size-breakdown');
  return parts.join(' ');
}
