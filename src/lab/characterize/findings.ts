import { TABLE2 } from '../../observe/components.ts';
import { USER } from '../profile/attribute.ts';
import { pairedRatio } from '../statistics.ts';
import type { AdditiveModel } from './additive-model.ts';
import type { Breakdown, Characterization } from './characterization.ts';
import { table2Sums } from './configuration-tables.ts';
import { PAPER_NUMBERS, PAPER_STATEMENTS } from './paper-columns.ts';
import { characterOf, peerNames } from './rounds.ts';
import { numberText, percentText, shareText, type TextTable } from './text-table.ts';

/** One of the paper's statements, and what was found here. */
export interface Finding {
  readonly statement: (typeof PAPER_STATEMENTS)[number]['id'];
  readonly peer: string;
  /** As a ratio, a share from 0 to 1, or percent: the statement tells. */
  readonly from: number;
  readonly to: number;
  /** In words, with what it is taken from. */
  readonly text: string;
}

/** The paper's statements that this run has figures for, peer by peer. */
export function findings(c: Characterization, model: AdditiveModel): Finding[] {
  return peerNames(c).flatMap((peer) =>
    [
      tcpToHttp(c, peer),
      range('filters_cycles', peer, filterShares(c, peer, 'http'), 'of the HTTP configurations with filters'),
      range('parsing', peer, parsingShares(c, peer), 'of the HTTP configurations, header en- and decoding included'),
      writes(c, peer),
      additive(model, peer),
      counted('ipc_tcp', c, peer, 'tcp', 'ipc', 'instructions per cycle'),
      counted('ipc_http', c, peer, 'http', 'ipc', 'instructions per cycle'),
      counted('icache', c, peer, undefined, 'l1i_mpki', 'per thousand instructions'),
    ].filter((finding) => finding !== undefined),
  );
}

export function findingsTable(c: Characterization, model: AdditiveModel): TextTable | undefined {
  const found = findings(c, model);
  if (found.length === 0) return undefined;
  const rows = PAPER_STATEMENTS.flatMap(({ id, text, source }) =>
    found.filter(({ statement }) => statement === id).map((finding) => [text, source, finding.peer, finding.text]),
  );
  return {
    title: 'What the paper says, and what was found here',
    words: 4,
    columns: ['the paper', 'where', 'peer', 'here'],
    rows,
    notes: [],
    command: c.command,
  };
}

function tcpToHttp(c: Characterization, peer: string): Finding | undefined {
  const [tcp, http] = ['tcp', 'http'].map((name) => characterOf(c, name, peer));
  if (tcp === undefined || http === undefined || tcp.why !== undefined || http.why !== undefined) return undefined;
  const [a, b] = [tcp.value.requestsPerSecond, http.value.requestsPerSecond];
  const ratio = a && b && pairedRatio(a.values, b.values);
  if (ratio === undefined) return undefined;
  const limits = ratio.min === ratio.max ? '' : ` (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`;
  const text = `${ratio.median.toFixed(2)}×${limits}`;
  return { statement: 'tcp_to_http', peer, from: ratio.min, to: ratio.max, text };
}

/** Shares of CPU time that the filters of each configuration have. */
export function filterShares(c: Characterization, peer: string, protocol: 'tcp' | 'http'): number[] {
  return breakdowns(c, peer, protocol, (base) => base !== undefined).map((one) => shareOf(one, ['Sidecar Filter']));
}

function parsingShares(c: Characterization, peer: string): number[] {
  const rows = ['HTTP Protocol Parse', 'Header En/Decoder'];
  return breakdowns(c, peer, 'http').map((one) => shareOf(one, rows));
}

function breakdowns(
  c: Characterization,
  peer: string,
  protocol: 'tcp' | 'http' | undefined,
  isMeant: (base: string | undefined) => boolean = () => true,
): Breakdown[] {
  return c.configurations
    .filter((one) => (protocol === undefined || one.protocol === protocol) && isMeant(one.base))
    .flatMap(({ peers }) => peers.find((one) => one.peer === peer)?.breakdown ?? []);
}

/** NaN where user space is not taken apart: that nothing is seen of a part does not mean that there is none. */
function shareOf({ parts, cpuMicros }: Breakdown, rows: readonly string[]): number {
  const sums = table2Sums(parts);
  if (parts.some(({ part }) => part === USER) && !rows.some((row) => sums.has(row))) return Number.NaN;
  return rows.reduce((sum, row) => sum + (sums.get(row) ?? 0), 0) / cpuMicros;
}

/** Where write system calls stand among the rows of Table 2, in the two configurations without filters. */
function writes(c: Characterization, peer: string): Finding | undefined {
  const places = ['http', 'tcp'].flatMap((name) => {
    const row = characterOf(c, name, peer);
    const breakdown = row.why === undefined ? row.value.breakdown : undefined;
    const sums = breakdown && table2Sums(breakdown.parts);
    const write = sums?.get('OS Write');
    if (breakdown === undefined || sums === undefined || write === undefined) return [];
    if (breakdown.parts.some(({ part }) => part === USER)) return [];
    const larger = TABLE2.filter((one) => (sums.get(one) ?? 0) > write).length;
    return [{ name, place: larger + 1, share: write / breakdown.cpuMicros }];
  });
  if (places.length === 0) return undefined;
  const each = places.map(({ name, place, share }) => `${name}: place ${place} with ${shareText(share)}`);
  const ranks = places.map(({ place }) => place);
  return { statement: 'next_writes', peer, from: Math.min(...ranks), to: Math.max(...ranks), text: each.join('; ') };
}

/** What the processor counted, where it counts. */
function counted(
  statement: Finding['statement'],
  c: Characterization,
  peer: string,
  protocol: 'tcp' | 'http' | undefined,
  counter: string,
  unit: string,
): Finding | undefined {
  const values = breakdowns(c, peer, protocol)
    .map(({ counters }) => counters.derived[counter] ?? Number.NaN)
    .filter(Number.isFinite);
  if (values.length === 0) return undefined;
  const [from, to] = [Math.min(...values), Math.max(...values)];
  const text = `${from === to ? '' : `${numberText(from)} to `}${numberText(to)} ${unit}`;
  return { statement, peer, from, to, text };
}

function range(
  statement: Finding['statement'],
  peer: string,
  shares: readonly number[],
  of: string,
): Finding | undefined {
  const finite = shares.filter(Number.isFinite);
  if (finite.length === 0) return undefined;
  const [from, to] = [Math.min(...finite), Math.max(...finite)];
  return { statement, peer, from, to, text: `${from === to ? '' : `${shareText(from)} to `}${shareText(to)} ${of}` };
}

function additive(model: AdditiveModel, peer: string): Finding | undefined {
  const mixes = model.mixes.filter((mix) => mix.peer === peer && mix.errorPercent !== undefined);
  if (mixes.length === 0) return undefined;
  const errors = mixes.map(({ errorPercent }) => errorPercent!.median);
  const [from, to] = [Math.min(...errors), Math.max(...errors)];
  const each = mixes.map(({ configuration }, i) => `${configuration} ${percentText(errors[i])}`).join(', ');
  const within = mixes.filter((_, i) => Math.abs(errors[i]!) <= PAPER_NUMBERS.additiveWithinPercent).length;
  const text = `${each}: ${within} of ${mixes.length} within ${PAPER_NUMBERS.additiveWithinPercent} %`;
  return { statement: 'additive', peer, from, to, text };
}
