import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command, Option } from 'commander';
import type { ProfileOptions } from '../../bench/profile/run-profile.ts';
import type { Scenario } from '../../bench/scenario.ts';
import type { ProfileReport } from '../lab/profile/profile-report.ts';
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
  readonly json?: string;
}

const HELP = `
What is done
  The proxy is started with the file's first listener and a backend of ours in place of its endpoints, is warmed up, and
  is then looked at under load, one thing after the other: where it is (perf, by samples of the clock), how long its
  system calls take (eBPF, with bpftrace), and how much it executes (perf stat: cycles, instructions and misses where
  the machine counts them, else CPU time and software events; the report says which).

  Outrigger is taken apart by its symbols and V8's map of its code. The others' binaries are stripped: their kernel side
  has symbols, and their user space is taken apart by difference, with each HTTP filter left out in turn and with TCP in
  place of HTTP; the report marks such figures.

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
    .option('--json <file>', 'write every figure (outrigger.profile/1, docs/components.md)')
    .allowExcessArguments(false)
    .addHelpText('after', HELP)
    .action(profileAction);
}

async function profileAction(flags: ProfileFlags): Promise<void> {
  const options = await readOptions(flags);
  const { profile } = await import('../../bench/profile/run-profile.ts');
  const { profileText } = await import('../lab/profile/profile-text.ts');
  process.stderr.write(`outrigger: looking at ${flags.peer}, ${options.configName}\n`);
  let report = await profile(options);
  if (flags.peer !== 'outrigger' && flags.difference)
    report = await takeApart(report, options, readNumber('--rounds', flags.rounds, 1, 100, true));
  process.stdout.write(profileText(report));
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(report, undefined, 2)}\n`);
}

async function readOptions(flags: ProfileFlags): Promise<ProfileOptions> {
  if (process.platform !== 'linux') throw new UsageError('profile needs perf, and /proc: it runs on Linux only');
  const [{ checkoutRoot }, { findPeer }, { SCENARIOS }, { READS_CONFIG }] = await Promise.all([
    import('../../bench/run/root.ts'),
    import('../../bench/peers/index.ts'),
    import('../../bench/scenarios.ts'),
    import('../../bench/profile/profiled-peer.ts'),
  ]);
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
  } else {
    canonical = await readCanonical(flags.config);
    scenario = scenarioNamed(isHttp(canonical) ? 'http' : 'tcp');
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

async function readCanonical(file: string): Promise<Record<string, unknown>> {
  const [{ loadConfig }, { builtinRegistry }] = await Promise.all([
    import('../config/load.ts'),
    import('../../filters/index.ts'),
  ]);
  const text = readFileSync(file, 'utf8');
  return loadConfig(file, { registry: builtinRegistry(), text }).canonical;
}

interface HttpFilter {
  readonly name: string;
}

/** Lists of HTTP filters of the first listener, the router left out. */
function httpFilters(canonical: unknown): HttpFilter[] {
  return filterLists(canonical).flatMap((list) => list.slice(0, -1));
}

function isHttp(canonical: unknown): boolean {
  return filterLists(canonical).length > 0;
}

function filterLists(canonical: unknown): HttpFilter[][] {
  const { listeners = [] } = (canonical as { static_resources: { listeners?: unknown[] } }).static_resources;
  const lists: HttpFilter[][] = [];
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, child] of Object.entries(value)) {
      if ((key === 'http_filters' || key === 'httpFilters') && Array.isArray(child)) lists.push(child as HttpFilter[]);
      else collect(child);
    }
  };
  collect(listeners[0]);
  return lists;
}

/** Runs the same work with less of it, round by round, for a proxy without symbols. */
async function takeApart(whole: ProfileReport, options: ProfileOptions, rounds: number): Promise<ProfileReport> {
  const [{ profile }, { byDifference, userUs }, { filterPart }, { SCENARIOS }] = await Promise.all([
    import('../../bench/profile/run-profile.ts'),
    import('../lab/profile/difference.ts'),
    import('../observe/components.ts'),
    import('../../bench/scenarios.ts'),
  ]);
  const { canonical, scenario } = options;
  const names = canonical === undefined ? [] : [...new Set(httpFilters(canonical).map(({ name }) => name))];
  const hasPlain = scenario.protocol === 'http' && scenario.downstream === 'http1' && scenario.tls === undefined;
  const tcp = SCENARIOS.find(({ name }) => name === 'tcp') as Scenario;
  const { connections, bodyBytes } = scenario;
  const runs: { readonly name: string; readonly less: Partial<ProfileOptions>; readonly times: number[] }[] = [
    { name: 'as it is', less: {}, times: [] },
    ...names.map((name) => ({
      name: `without ${name}`,
      less: { canonical: without(canonical, (filter) => filter.name === name) },
      times: [],
    })),
  ];
  if (hasPlain) {
    const http = canonical === undefined ? {} : { canonical: without(canonical, () => true) };
    runs.push({ name: 'without filters', less: http, times: [] });
    runs.push({
      name: 'as TCP',
      less: { canonical: undefined, scenario: { ...tcp, connections, bodyBytes } },
      times: [],
    });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { name, less, times } of round % 2 === 0 ? runs : runs.toReversed()) {
      process.stderr.write(`outrigger: round ${round + 1} of ${rounds}, ${name}\n`);
      times.push(userUs(await profile({ ...options, ...less, stacksOnly: true })));
    }
  }
  const [first, ...others] = runs.map(({ times }) => times) as [number[], ...number[][]];
  return byDifference(whole, {
    whole: first,
    filters: names.map((name, index) => ({ part: filterPart(name), userUs: others[index] as number[] })),
    plain: hasPlain ? { http: others.at(-2) as number[], tcp: others.at(-1) as number[] } : undefined,
  });
}

/** A copy without those HTTP filters; the router, which comes last, stays. */
function without(canonical: unknown, isLeftOut: (filter: HttpFilter) => boolean): Record<string, unknown> {
  const copy = structuredClone(canonical) as Record<string, unknown>;
  for (const list of filterLists(copy)) {
    const kept = list.filter((filter, index) => index === list.length - 1 || !isLeftOut(filter));
    list.splice(0, list.length, ...kept);
  }
  return copy;
}
