import type { BenchReport, ScalingResult } from './result.ts';
import { BASELINE, type Cell, errorLabel, figureCell, formatNumber, type Table } from './tables.ts';

/** One row per peer and number of workers; the efficiency stands with the last. */
export function scalingTable(report: BenchReport): Table | undefined {
  if (report.scaling.length === 0) return undefined;
  const base = report.scaling.find((result) => result.peer === BASELINE);
  const isShared = report.scaling.some((result) => result.sharesCores);
  return {
    title: isShared
      ? 'Scaling of http by --concurrency; too few cores, load and proxy share them: compare CPU per request, not requests/s'
      : 'Scaling of http by --concurrency, a core for each worker',
    columns: ['peer', 'concurrency', 'requests/s', 'process µs', 'cores used', 'CPU efficiency', 'rate efficiency'],
    rows: report.scaling.flatMap((result) => rows(result, result === base ? undefined : base)),
  };
}

function rows(result: ScalingResult, base: ScalingResult | undefined): Cell[][] {
  const none: Cell = { text: '–' };
  if (result.points.length === 0) return [[{ text: errorLabel(result) }, none, none, none, none, none, none]];
  return result.points.map((point, i) => {
    const beside = base?.points.find(({ concurrency }) => concurrency === point.concurrency);
    const isLast = i > 0 && i === result.points.length - 1;
    const lost = point.errors > 0 ? ` (${point.errors} errors)` : '';
    return [
      { text: `${errorLabel(result)}${lost}` },
      { text: String(point.concurrency) },
      figureCell(point.requestsPerSecond, beside?.requestsPerSecond),
      figureCell(point.processMicros, beside?.processMicros),
      { text: formatNumber(point.coresUsed) },
      isLast ? figureCell(result.cpuEfficiency, base?.cpuEfficiency) : none,
      isLast ? figureCell(result.rateEfficiency, base?.rateEfficiency) : none,
    ];
  });
}
