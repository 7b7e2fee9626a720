import { parse } from 'yaml';
import { findPerf, SAMPLED_EVENT } from '../profile/perf.ts';
import { profile } from '../profile/run-profile.ts';
import { runToEnd } from '../run/children.ts';
import type { Progress } from '../run/progress.ts';
import { envoyConfig } from '../scenario-config.ts';
import { type Profiled, partsByDifference } from './differences.ts';
import type { Measurement } from './measurement.ts';
import { breakdownSeconds, type CharacterizePlan, type Subject, stepSeconds } from './plan.ts';

/** Why nobody can look at where the time goes on this machine; undefined when somebody can. */
export async function whyNoBreakdown(): Promise<string | undefined> {
  const perf = findPerf();
  if (perf === undefined) return "perf is not installed (Debian's package linux-perf)";
  try {
    await runToEnd({ command: perf, args: ['record', '-e', SAMPLED_EVENT, '-g', '-o', '/dev/null', 'true'] }, []);
    return undefined;
  } catch (error) {
    return (error as Error).message.replaceAll(/\s+/g, ' ');
  }
}

/**
 * Looks at each that has not failed, once.
 *
 * @returns why some have none, and what to know of the others
 */
export async function breakDown(
  root: string,
  plan: CharacterizePlan,
  all: readonly Measurement[],
  progress: Progress,
): Promise<string[]> {
  const reasons: string[] = [];
  const profiled = new Map<Measurement, Profiled>();
  for (const one of all) {
    if (one.error !== undefined) continue;
    const { peer, scenario } = one.subject;
    progress.show(`${scenario.name}  ${peer.name}  where the time goes`);
    try {
      const report = await profile({
        root,
        peer,
        scenario,
        canonical: canonicalOf(one.subject),
        configName: `scenario ${scenario.name}`,
        durationS: breakdownSeconds(plan),
        inside: false,
        isBrief: true,
        command: '',
      });
      const { configuration, bytes } = one.subject;
      const { cpuMicros } = one.character();
      profiled.set(one, { peer: peer.name, configuration, bytes, cpuMicros, report });
    } catch (error) {
      reasons.push(`no breakdown of ${scenario.name} (${peer.name}): ${(error as Error).message}`);
    }
    progress.done(stepSeconds(plan).breakdown);
  }
  const differenced = new Set<string>();
  for (const [one, { peer, report }] of profiled) {
    const parts = partsByDifference(profiled.get(one) as Profiled, [...profiled.values()]);
    if (parts !== report.parts) differenced.add(peer);
    const { sampling, cpuUsPerRequest, counters, notes } = report;
    one.breakdown = { samples: sampling.samples, cpuMicros: cpuUsPerRequest, parts, counters, notes };
  }
  const names = [...differenced].join(', ');
  return differenced.size === 0
    ? reasons
    : [...reasons, `user space of ${names} is taken apart by difference: ${IN_PARSE}`];
}

const IN_PARSE = 'HTTP parse is all that HTTP costs more than TCP, headers and routing included';

/** For the names of the filters. Behind TLS there are none, and its certificates are made for each run. */
function canonicalOf({ scenario, peer }: Subject): Record<string, unknown> | undefined {
  if (scenario.tls !== undefined || (peer.name !== 'outrigger' && peer.name !== 'envoy')) return undefined;
  return parse(envoyConfig({ scenario, listenPort: 1, backendPort: 2, directory: '.' }));
}
