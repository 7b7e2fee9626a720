import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command, Option } from 'commander';
import type { ProfileOptions } from '../../bench/profile/run-profile.ts';
import type { Scenario } from '../../bench/scenario.ts';
import { checkOutput, writeOutput } from './output.ts';
import { readNumber } from './serve-options.ts';
import { UsageError } from './usage-error.ts';

interface ProfileFlags {
  readonly peer: 'outrigger' | 'envoy' | 'nginx' | 'haproxy';
  readonly config?: string;
  readonly scenario?: string;
  readonly duration: string;
  readonly connections?: string;
  readonly inside?: true;
  readonly difference: boolean;
  readonly rounds: string;
  readonly sizes: string;
  readonly json?: string;
}

const HELP = `
What is done
  The proxy is started with the file's first listener and a backend of ours in place of its endpoints, is warmed up, and
  is then looked at under load, one thing after the other: where it is (perf, by samples of the clock), how long its
  system calls take (eBPF, with bpftrace), and how much it executes (perf stat: cycles, instructions and misses where
  the machine counts them, else CPU time and software events; the report says which).

  Outrigger is taken apart by its symbols and V8's map of its code. The others' binaries are stripped: their kernel side
  has symbols, and their user space is taken apart by difference, with each HTTP filter left out in turn, without TLS, and
  with TCP in place of HTTP; larger bodies tell what each byte costs. The report marks such figures.

  It needs perf (linux-perf), and for system calls bpftrace and root. It runs from a checkout.

Examples
  outrigger profile --peer outrigger -c sidecar.yaml
  outrigger profile --peer envoy -c sidecar.yaml --json envoy.json
  outrigger profile --peer outrigger --scenario http2_c4 --inside
`;

/** `outrigger profile`: where a proxy's CPU time goes, seen from outside. */
export function profileCommand(): Command {
  return new Command('profile')
    .exitOverride()
    .description("Takes a proxy's CPU time apart into the components of docs/components.md, from outside.")
    .addOption(
      new Option('--peer <name>', 'the proxy to look at')
        .choices(['outrigger', 'envoy', 'nginx', 'haproxy'])
        .default('outrigger'),
    )
    .option('-c, --config <file>', 'configuration file: Envoy v3 or a sidecar file')
    .option('--scenario <name>', 'a scenario of the benchmark in place of a file (outrigger bench --list)')
    .option('--duration <seconds>', 'how long stacks are sampled', '5')
    .option('--connections <n>', 'connections of the load, 32 unless given')
    .option('--inside', 'Outrigger only: let its own probes look at the same load, and show both')
    .option('--no-difference', 'leave user space of stripped proxies as one')
    .option('--rounds <n>', 'rounds of what is taken apart by difference, the order reversed each time', '3')
    .option('--sizes <bytes>', "bodies to take apart by, besides the scenario's; '' for none", '16384,65536')
    .option('--json <file>', 'write every figure (outrigger.profile/1, docs/components.md)')
    .allowExcessArguments(false)
    .addHelpText('after', HELP)
    .action(profileAction);
}

async function profileAction(flags: ProfileFlags): Promise<void> {
  const options = await readOptions(flags);
  checkOutput(flags.json);
  const { profile } = await import('../../bench/profile/run-profile.ts');
  const { profileText } = await import('../lab/profile/profile-text.ts');
  process.stderr.write(`outrigger: looking at ${flags.peer}, ${options.configName}\n`);
  let report = await profile(options);
  if (flags.peer !== 'outrigger' && flags.difference) {
    const { takeApart } = await import('../../bench/profile/take-apart.ts');
    const rounds = readNumber('--rounds', flags.rounds, 1, 100, true);
    const say = (text: string): boolean => process.stderr.write(`outrigger: ${text}\n`);
    report = await takeApart(report, options, { rounds, sizes: readSizes(flags.sizes), say });
  }
  process.stdout.write(profileText(report));
  if (flags.json !== undefined) writeOutput(flags.json, `${JSON.stringify(report, undefined, 2)}\n`);
}

async function readOptions(flags: ProfileFlags): Promise<ProfileOptions> {
  if (process.platform !== 'linux') throw new UsageError('profile needs perf, and /proc: it runs on Linux only');
  const [{ checkoutRoot }, { findPeer }, { SCENARIOS }, { READS_CONFIG }] = await Promise.all([
    import('../../bench/run/root.ts'),
    import('../../bench/peers/index.ts'),
    import('../../bench/scenarios.ts'),
    import('../../bench/profile/profiled-peer.ts'),
  ]);
  const { hasTls, httpFilters, isHttp, scenarioFilters } = await import('../../bench/profile/canonical.ts');
  const root = checkoutRoot();
  if (root === undefined) throw new UsageError('profile runs from a checkout of the repository only');
  if ((flags.config === undefined) === (flags.scenario === undefined))
    throw new UsageError('profile needs -c FILE or --scenario NAME', 'outrigger profile --peer envoy -c sidecar.yaml');
  if (flags.inside === true && flags.peer !== 'outrigger')
    throw new UsageError(`--inside: ${flags.peer} has no probes of ours`);
  const found = findPeer(flags.peer, root);
  if (!('peer' in found)) throw new UsageError(`${flags.peer}: ${found.missing}`);
  const scenarioNamed = (name: string): Scenario => {
    const scenario = SCENARIOS.find((one) => one.name === name);
    if (scenario === undefined) throw new UsageError(`--scenario: there is none called '${name}'`);
    return scenario;
  };
  let canonical: Record<string, unknown> | undefined;
  let scenario: Scenario;
  if (flags.config === undefined) {
    scenario = scenarioNamed(flags.scenario as string);
    if (READS_CONFIG.has(flags.peer)) canonical = scenarioFilters(scenario);
  } else {
    canonical = await readCanonical(flags.config);
    scenario = scenarioNamed(isHttp(canonical) ? 'http' : 'tcp');
    if (hasTls(canonical)) scenario = { ...scenario, tls: { downstream: 'tls' } };
    if (!READS_CONFIG.has(flags.peer)) {
      if (httpFilters(canonical).length > 0)
        throw new UsageError(`${flags.peer} knows no filters of Envoy's: only files without filters can be compared`);
      canonical = undefined;
    }
  }
  if (!found.peer.supports(scenario)) throw new UsageError(`${flags.peer} cannot do ${scenario.name}`);
  const connections =
    flags.connections === undefined
      ? scenario.connections
      : readNumber('--connections', flags.connections, 1, 10_000, true);
  return {
    root,
    peer: found.peer,
    scenario: { ...scenario, connections },
    canonical,
    configName: flags.config === undefined ? `scenario ${scenario.name}` : basename(flags.config),
    durationS: readNumber('--duration', flags.duration, 1, 600, true),
    inside: flags.inside === true,
    command: `outrigger ${process.argv.slice(2).join(' ')}`,
  };
}

function readSizes(text: string): number[] {
  if (text === '') return [];
  return text.split(',').map((bytes) => readNumber('--sizes', bytes.trim(), 0, 16 * 1024 * 1024, true));
}

async function readCanonical(file: string): Promise<Record<string, unknown>> {
  const [{ loadConfig }, { builtinRegistry }] = await Promise.all([
    import('../config/load.ts'),
    import('../../filters/index.ts'),
  ]);
  const text = readFileSync(file, 'utf8');
  return loadConfig(file, { registry: builtinRegistry(), text }).canonical;
}
