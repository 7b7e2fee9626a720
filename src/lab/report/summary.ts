import type { AdditiveModel } from '../characterize/additive-model.ts';
import type { Characterization, ConfigurationResult, Figure } from '../characterize/characterization.ts';
import { findings } from '../characterize/findings.ts';
import { PAPER_NUMBERS } from '../characterize/paper-columns.ts';
import { median } from '../statistics.ts';
import type { Statement } from './document.ts';
import { formatNumber, formatRatio, percent } from './number-text.ts';
import { componentSums } from './sections/components.ts';
import {
  BASELINE,
  labelOf,
  levelOf,
  measuredOf,
  OWN,
  peerLabel,
  peersOf,
  ratioOf,
  rowOf,
  SATURATED_PERCENT,
} from './view.ts';

/** Of the CPU time, where there are symbols. */
const MOST_UNATTRIBUTED = 0.1;
/** Rates of one load level are believed when the proxy used within this share of the level. */
const LEVEL_TOLERANCE = 0.2;

/** What the figures say, in sentences; each is made of the data, and says what was missed as plainly as the rest. */
export function summarize(c: Characterization, model: AdditiveModel): Statement[] {
  return [
    ...ratioStatements(c),
    ...saturation(c),
    ...levels(c),
    ...oneRound(c),
    ...tcpToHttp(c, model),
    ...additivity(model, c),
    ...dearestFilters(model, c),
    ...largestComponents(c),
    ...unattributed(c),
    ...failures(c),
    ...openRows(c),
  ];
}

/** Ratios to the baseline by configuration. */
function ratiosOf(
  c: Characterization,
  pick: (configuration: ConfigurationResult, peer: string) => Figure | undefined,
): { label: string; ratio: number }[] {
  return measuredOf(c).flatMap((configuration) => {
    const ratio = ratioOf(pick(configuration, OWN), pick(configuration, BASELINE));
    return ratio === undefined ? [] : [{ label: labelOf(configuration), ratio: ratio.median }];
  });
}

function ratioStatements(c: Characterization): Statement[] {
  const cpu = ratiosOf(c, (configuration, peer) => rowOf(configuration, peer)?.cpuMicros);
  if (cpu.length === 0)
    return [
      { verdict: 'open', text: 'No configuration has figures of both Outrigger and Envoy: there are no ratios.' },
    ];
  // A rate is a proxy's highest, and a latency the proxy's own, only where nothing else was the limit.
  const rate = ratiosOf(c, (configuration, peer) => {
    const row = rowOf(configuration, peer);
    return (row?.cpuPercent ?? 100) >= SATURATED_PERCENT ? row?.requestsPerSecond : undefined;
  });
  const p99 = ratiosOf(c, (configuration, peer) => {
    const level = levelOf(rowOf(configuration, peer), 0.5);
    return level?.generatorLimits.length === 0 ? level.p99 : undefined;
  });
  return [
    comparison('spends', 'CPU time per request', cpu, (ratio) => ratio < 1, 'more'),
    ...(rate.length === 0 ? [] : [comparison('reaches', 'highest rate', rate, (ratio) => ratio > 1, 'less')]),
    ...(p99.length === 0
      ? []
      : [comparison('has', 'p99 latency at half of a core', p99, (ratio) => ratio < 1, 'more')]),
  ];
}

function comparison(
  verb: string,
  what: string,
  found: readonly { label: string; ratio: number }[],
  isBetter: (ratio: number) => boolean,
  worse: string,
): Statement {
  const sorted = found.toSorted((a, b) => a.ratio - b.ratio);
  const [first, last] = [sorted[0]!, sorted.at(-1)!];
  const missed = sorted.filter(({ ratio }) => !isBetter(ratio));
  const middle = formatRatio(median(found.map(({ ratio }) => ratio)));
  const across =
    found.length === 1
      ? `${formatRatio(first.ratio)} × Envoy’s ${what} with ${first.label}, the one configuration that both have`
      : `${middle} × Envoy’s ${what} in the median of ${found.length} configurations, from ${formatRatio(first.ratio)} (${first.label}) to ${formatRatio(last.ratio)} (${last.label})`;
  const list = missed.map(({ label, ratio }) => `${label} (${formatRatio(ratio)})`).join(', ');
  const none = worse === 'more' ? 'It is not above Envoy’s in any.' : 'It is not below Envoy’s in any.';
  const tail = missed.length === 0 ? none : `Not better than Envoy’s in ${missed.length} of ${found.length}: ${list}.`;
  const isMissed = !isBetter(median(found.map(({ ratio }) => ratio)));
  return {
    verdict: missed.length === 0 ? 'reached' : isMissed ? 'missed' : 'partly',
    text: `Outrigger ${verb} ${across}. ${tail}`,
  };
}

/** The paper's step from TCP to HTTP (Figure 6). */
function tcpToHttp(c: Characterization, model: AdditiveModel): Statement[] {
  const ratios = findings(c, model).flatMap(({ statement, peer, text }) =>
    statement === 'tcp_to_http' && ['tcp', 'http'].every((name) => isSaturated(c, name, peer))
      ? [`${text} with ${peerLabel(peer)}`]
      : [],
  );
  if (ratios.length === 0) return [];
  const text = `From TCP to HTTP the highest rate falls by ${ratios.join(', ')} (the paper: ${PAPER_NUMBERS.tcpToHttp}×).`;
  return [{ verdict: 'finding', text }];
}

function isSaturated(c: Characterization, name: string, peer: string): boolean {
  const configuration = c.configurations.find((one) => one.name === name);
  const row = configuration && rowOf(configuration, peer);
  return row !== undefined && (row.cpuPercent ?? 100) >= SATURATED_PERCENT;
}

function additivity({ mixes }: AdditiveModel, c: Characterization): Statement[] {
  return peersOf(c).flatMap((peer): Statement[] => {
    const checked = mixes.flatMap(({ peer: own, configuration, errorPercent }) =>
      own === peer && errorPercent !== undefined ? [{ configuration, error: errorPercent.median }] : [],
    );
    if (checked.length === 0) return [];
    const off = checked.filter(({ error }) => Math.abs(error) > PAPER_NUMBERS.additiveWithinPercent);
    const worst = checked.reduce((one, next) => (Math.abs(next.error) > Math.abs(one.error) ? next : one));
    const text =
      `${peerLabel(peer)}: single filters, added up, predict the CPU time of ${checked.length === 1 ? 'the mix' : `${checked.length} mixes`} ` +
      `within ${formatNumber(Math.abs(worst.error))} % (${labelFor(c, worst.configuration)}); the paper’s errors are within ${PAPER_NUMBERS.additiveWithinPercent} %.`;
    const list = off.map(({ configuration }) => labelFor(c, configuration)).join(', ');
    return [
      off.length === 0
        ? { verdict: 'reached', text }
        : { verdict: 'missed', text: `${text} More than ${PAPER_NUMBERS.additiveWithinPercent} % off: ${list}.` },
    ];
  });
}

function labelFor(c: Characterization, name: string): string {
  const found = c.configurations.find((one) => one.name === name);
  return found === undefined ? name : labelOf(found);
}

function dearestFilters({ costs }: AdditiveModel, c: Characterization): Statement[] {
  return peersOf(c).flatMap((peer): Statement[] => {
    const own = costs.flatMap(({ peer: of, configuration, micros }) =>
      // A mix is no filter.
      of === peer &&
      micros !== undefined &&
      c.configurations.find(({ name }) => name === configuration)?.parts.length === 0
        ? [{ configuration, micros }]
        : [],
    );
    if (own.length === 0) return [];
    const [seen, unseen] = [own.filter(({ micros }) => micros.min > 0), own.filter(({ micros }) => !(micros.min > 0))];
    const names = unseen.map(({ configuration }) => labelFor(c, configuration)).join(', ');
    const count = own.length === 1 ? 'the one filter configuration' : `${own.length} filter configurations`;
    if (seen.length === 0)
      return [
        {
          verdict: 'missed',
          text: `${peerLabel(peer)}: of ${count}, none costs more than the rounds can tell: ${names}.`,
        },
      ];
    const { configuration, micros } = seen.reduce((one, next) => (next.micros.median > one.micros.median ? next : one));
    const interval = micros.min === micros.max ? '' : ` (${formatNumber(micros.min)} to ${formatNumber(micros.max)})`;
    const noise = unseen.length === 0 ? '' : ` ${unseen.length} cost less than the rounds can tell: ${names}.`;
    return [
      {
        verdict: 'finding',
        text: `${peerLabel(peer)}: the dearest of ${count} is ${labelFor(c, configuration)} with ${formatNumber(micros.median)} µs per request${interval}.${noise}`,
      },
    ];
  });
}

function largestComponents(c: Characterization): Statement[] {
  return peersOf(c).flatMap((peer): Statement[] => {
    const shares = new Map<string, number[]>();
    let count = 0;
    for (const configuration of c.configurations) {
      const breakdown = rowOf(configuration, peer)?.breakdown;
      if (configuration.protocol !== 'http' || breakdown === undefined || !(breakdown.cpuMicros > 0)) continue;
      count++;
      for (const [row, micros] of componentSums(breakdown))
        shares.set(row, [...(shares.get(row) ?? []), micros / breakdown.cpuMicros]);
    }
    if (count === 0) return [];
    const ranked = Array.from(shares, ([row, values]) => ({ row, share: median(values) })).toSorted(
      (a, b) => b.share - a.share,
    );
    const list = ranked.slice(0, 3).map(({ row, share }) => `${row} ${percent(share)}`);
    return [
      {
        verdict: 'finding',
        text: `${peerLabel(peer)}: most of an HTTP request’s CPU time is ${list.join(', ')} (median of ${count} configurations).`,
      },
    ];
  });
}

function unattributed(c: Characterization): Statement[] {
  return peersOf(c).flatMap((peer): Statement[] => {
    const found = c.configurations.flatMap((configuration) => {
      const breakdown = rowOf(configuration, peer)?.breakdown;
      if (breakdown === undefined) return [];
      const share = (part: string): number => breakdown.parts.find((one) => one.part === part)?.share ?? 0;
      return [{ label: labelOf(configuration), unattributed: share('unattributed'), user: share('user') }];
    });
    if (found.length === 0) return [];
    const worst = found.reduce((one, next) => (next.unattributed > one.unattributed ? next : one));
    const user = Math.max(...found.map((one) => one.user));
    const isWithin = worst.unattributed <= MOST_UNATTRIBUTED;
    const whole = user > 0 ? ` User space that nothing takes apart is up to ${percent(user)}.` : '';
    return [
      {
        verdict: isWithin ? 'reached' : 'missed',
        text: `${peerLabel(peer)}: at most ${percent(worst.unattributed, 1)} of the CPU time is unattributed (${worst.label}); the aim is ${percent(MOST_UNATTRIBUTED)}.${whole}`,
      },
    ];
  });
}

/** Where the closed loop did not keep the proxy busy: its highest rate is not known then. */
function saturation(c: Characterization): Statement[] {
  const all = c.configurations.flatMap((configuration) =>
    configuration.peers.flatMap(({ peer, cpuPercent }) =>
      cpuPercent === undefined ? [] : [{ name: `${labelOf(configuration)}, ${peerLabel(peer)}`, cpuPercent }],
    ),
  );
  const idle = all.filter(({ cpuPercent }) => !(cpuPercent >= SATURATED_PERCENT));
  if (idle.length === 0) return [];
  const names = idle.map(({ name, cpuPercent }) => `${name} (${formatNumber(cpuPercent)} %)`);
  return [
    {
      verdict: 'missed',
      text: `In ${idle.length} of ${all.length} closed loops the proxy used less than ${SATURATED_PERCENT} % of its core: something else was the limit, and these rates are not its highest: ${some(names)}.`,
    },
  ];
}

function oneRound({ rounds }: Characterization): Statement[] {
  if (rounds > 1) return [];
  const text = 'There was one round only: nothing tells how far figures scatter, and small differences mean nothing.';
  return [{ verdict: 'missed', text }];
}

/** Rates at which a proxy did not use what they were chosen for. */
function levels(c: Characterization): Statement[] {
  const all = c.configurations.flatMap((configuration) =>
    configuration.peers.flatMap(({ peer, levels: found }) =>
      found.map((level) => ({ name: `${labelOf(configuration)}, ${peerLabel(peer)}, ${percent(level.level)}`, level })),
    ),
  );
  if (all.length === 0) return [{ verdict: 'open', text: 'No fixed rates were measured: there are no latencies.' }];
  const off = all.filter(
    ({ level: { level, cpuPercent } }) => !(Math.abs(cpuPercent.median / 100 / level - 1) <= LEVEL_TOLERANCE),
  );
  const limited = all.filter(({ level: { generatorLimits } }) => generatorLimits.length > 0);
  const statements: Statement[] = [];
  if (off.length > 0)
    statements.push({
      verdict: 'missed',
      text: `At ${off.length} of ${all.length} fixed rates the proxy used more than a fifth more or less of its core than the rate was chosen for: ${some(off.map(({ name }) => name))}.`,
    });
  if (limited.length > 0)
    statements.push({
      verdict: 'missed',
      text: `At ${limited.length} of ${all.length} fixed rates the load generator may be what was measured: ${some(limited.map(({ name }) => name))}.`,
    });
  return statements;
}

const MOST_NAMES = 6;

function some(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return `${names.slice(0, MOST_NAMES).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

function failures(c: Characterization): Statement[] {
  const rows = [
    ...c.configurations.map((row) => ({ ...row, label: labelOf(row) })),
    ...c.sizes.map((row) => ({ ...row, label: `${row.configuration} with ${row.bytes} B` })),
  ];
  const failed = rows.flatMap(({ label, peers }) =>
    peers.flatMap(({ peer, error, errors }) =>
      error !== undefined
        ? [`${label}, ${peerLabel(peer)}: ${error.split('\n', 1)[0]}`]
        : errors > 0
          ? [`${label}, ${peerLabel(peer)}: ${errors} requests failed`]
          : [],
    ),
  );
  return failed.length === 0 ? [] : [{ verdict: 'missed', text: `Not (wholly) measured: ${some(failed)}.` }];
}

function openRows(c: Characterization): Statement[] {
  return c.configurations.flatMap((configuration) =>
    configuration.open === undefined
      ? []
      : [{ verdict: 'open', text: `${labelOf(configuration)} is open: ${configuration.open}` } as const],
  );
}
