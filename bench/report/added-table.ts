import { type Spread, spread } from '../measure/statistics.ts';
import type { BenchReport, PeerResult, SaturationFigures } from './result.ts';
import { baselineOf, type Cell, formatNumber, type Table } from './tables.ts';

/**
 * What each proxy adds to the direct path at saturation, beside what Envoy adds: the generator's and the backend's own
 * part taken away, round by round. Undefined unless the direct peer took part in a TCP scenario.
 */
export function addedTable(report: BenchReport): Table | undefined {
  const rows: Cell[][] = [];
  for (const { scenario, peers } of report.scenarios) {
    const direct = peers.find((peer) => peer.peer === 'direct')?.saturation;
    const base = baselineOf(peers)?.saturation;
    if (scenario.protocol !== 'tcp' || direct === undefined || base === undefined) continue;
    for (const peer of peers) {
      if (peer.peer === 'direct' || peer.saturation === undefined) continue;
      rows.push([
        { text: scenario.name },
        { text: peer.peer },
        ...addedCells(peer, direct, base, (figures) => figures.p50),
        ...addedCells(peer, direct, base, (figures) => figures.machineMicros),
      ]);
    }
  }
  if (rows.length === 0) return undefined;
  return {
    title: 'Added to the direct path at saturation, µs, and the ratio to what Envoy adds',
    columns: ['scenario', 'peer', 'added p50', 'to Envoy’s', 'added machine CPU', 'to Envoy’s'],
    rows,
  };
}

function addedCells(
  peer: PeerResult,
  direct: SaturationFigures,
  base: SaturationFigures,
  pick: (figures: SaturationFigures) => Spread | undefined,
): Cell[] {
  const own = added(peer.saturation && pick(peer.saturation), pick(direct));
  const envoy = added(pick(base), pick(direct));
  const ratio = spread(own.map((micros, round) => micros / (envoy[round] ?? Number.NaN)));
  const micros = spread(own);
  return [
    { text: micros === undefined ? '–' : formatNumber(micros.median) },
    ratio === undefined
      ? { text: '–' }
      : { text: ratio.median.toFixed(2), title: `${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)}` },
  ];
}

/** Round by round; NaN where a round has no figure. */
function added(figure: Spread | undefined, direct: Spread | undefined): number[] {
  if (figure === undefined || direct === undefined) return [];
  return figure.values.map((micros, round) => micros - (direct.values[round] ?? Number.NaN));
}
