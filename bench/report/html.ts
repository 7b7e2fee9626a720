import type { Spread } from '../measure/statistics.ts';
import { addedTable } from './added-table.ts';
import { factLines, processTables } from './console.ts';
import type { BenchReport, PeerResult, ScenarioResult } from './result.ts';
import { type Bar, barChart, escapeXml, LAST_PERCENTILE, lineChart, logAxis, percentileAxis } from './svg.ts';
import { cpuTable, figureCell, formatNumber, LEGEND, latencyTable, ratioTable, type Table } from './tables.ts';

/**
 * The report as one HTML page that needs nothing else: plots in inline SVG, light and dark, in colours that the
 * colour-blind tell apart (Okabe and Ito's), and readable in print.
 */
export function renderHtml(report: BenchReport): string {
  const ratios = ratioTable(report);
  const added = addedTable(report);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outrigger benchmark, ${report.startedAt.slice(0, 10)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Outrigger benchmark</h1>
<p>${report.startedAt.slice(0, 16).replace('T', ' ')} UTC. Reproduce with <code>${escapeXml(report.command)}</code></p>
<ul>${factLines(report)
    .map((line) => `<li>${escapeXml(line)}</li>`)
    .join('')}</ul>
<p>${escapeXml(LEGEND)} Point at a figure to see its range.</p>
${ratios === undefined ? '' : htmlTable(ratios)}
${added === undefined ? '' : htmlTable(added)}
${report.scenarios.map(scenarioSection).join('\n')}
${processSection(report)}
</main>
</body>
</html>
`;
}

function scenarioSection(result: ScenarioResult): string {
  const { scenario } = result;
  const latency = latencyTable(result);
  const size = `${formatNumber(scenario.bodyBytes)} B ${scenario.direction}, ${scenario.connections} connections${scenario.streams > 1 ? ` × ${scenario.streams} streams` : ''}`;
  return `<section id="${escapeXml(scenario.name)}">
<h2>${escapeXml(scenario.name)}</h2>
<p>${escapeXml(scenario.summary)}; ${size}; load ${result.load}, backend ${result.backend}. <code>${escapeXml(result.command)}</code></p>
<figure><figcaption>CPU of the proxy per request at saturation, µs</figcaption>
${barChart(
  'CPU per request',
  bars(result.peers, (peer) => peer.saturation?.processMicros),
)}</figure>
<figure><figcaption>Requests per second at saturation</figcaption>
${barChart(
  'Requests per second',
  bars(result.peers, (peer) => peer.saturation?.requestsPerSecond),
)}</figure>
${htmlTable(cpuTable(result))}
${latencyPlots(result)}
${latency === undefined ? '' : htmlTable(latency)}
</section>`;
}

function bars(peers: readonly PeerResult[], pick: (peer: PeerResult) => Spread | undefined): Bar[] {
  const base = peers.find((peer) => peer.peer === 'envoy');
  return peers.flatMap((peer) => {
    const figure = pick(peer);
    if (figure === undefined) return [];
    const note = figureCell(figure, base === undefined || base === peer ? undefined : pick(base)).text;
    return [{ label: peer.peer, value: figure.median, low: figure.min, high: figure.max, series: peer.peer, note }];
  });
}

function latencyPlots(result: ScenarioResult): string {
  const shares = [...new Set(result.peers.flatMap((peer) => peer.rates.map((rate) => rate.share)))];
  return shares
    .sort((a, b) => a - b)
    .map((share) => {
      const found = result.peers.flatMap((peer) => {
        const rate = peer.rates.find((candidate) => candidate.share === share);
        if (rate === undefined) return [];
        const points = rate.curve.filter(([percentile]) => percentile <= LAST_PERCENTILE);
        return [{ label: peer.peer, series: peer.peer, points, rate: rate.rate }];
      });
      const values = found.flatMap((line) => line.points.map(([, micros]) => micros));
      const title = `Latency at ${formatNumber(found[0]?.rate ?? 0)} requests/s (${Math.round(share * 100)} % of the slowest proxy)`;
      const chart = lineChart(title, 'percentile of requests', percentileAxis(), logAxis(values, formatMicros), found);
      return `<figure><figcaption>${escapeXml(title)}</figcaption>\n${chart}</figure>`;
    })
    .join('\n');
}

/** Memory, start-up and scaling have no scenario of their own. */
function processSection(report: BenchReport): string {
  const tables = processTables(report);
  return tables.length === 0
    ? ''
    : `<section id="process"><h2>The process</h2>${tables.map(htmlTable).join('\n')}</section>`;
}

function formatMicros(micros: number): string {
  if (micros >= 1e6) return `${micros / 1e6} s`;
  return micros >= 1000 ? `${micros / 1000} ms` : `${micros} µs`;
}

function htmlTable(table: Table): string {
  const head = table.columns.map((column) => `<th scope="col">${escapeXml(column)}</th>`).join('');
  const rows = table.rows.map((row) => {
    const cells = row.map(({ text, title }, i) => {
      const hint = title === undefined ? '' : ` title="${escapeXml(title)}"`;
      return i === 0 ? `<th scope="row">${escapeXml(text)}</th>` : `<td${hint}>${escapeXml(text)}</td>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="wide"><table><caption>${escapeXml(table.title)}</caption><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --faint: #ddd; --soft: #595959;
  --direct: #767676; --outrigger: #d55e00; --envoy: #0072b2; --nginx: #009e73; --haproxy: #b0568a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181b; --faint: #3a3d42; --soft: #a9adb3;
  --direct: #a0a0a0; --outrigger: #f08a3c; --envoy: #56b4e9; --nginx: #2fc79a; --haproxy: #dd8fbb; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 24px 16px 64px; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 48px; border-top: 1px solid var(--faint); padding-top: 16px; }
code { font-size: 13px; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 16px 0; font-size: 14px; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: 4px; }
th, td { padding: 3px 10px; border-bottom: 1px solid var(--faint); text-align: right; white-space: nowrap; }
thead th { white-space: normal; vertical-align: bottom; }
th:first-child { text-align: left; padding-left: 0; }
figure { margin: 20px 0; max-width: 720px; } figcaption { color: var(--soft); margin-bottom: 4px; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .tick { fill: var(--soft); }
.grid { stroke: var(--faint); } .spread { stroke: var(--ink); fill: none; } .line { fill: none; stroke-width: 2; }
${['direct', 'outrigger', 'envoy', 'nginx', 'haproxy'].map((name) => `.fill.${name} { fill: var(--${name}); } .line.${name} { stroke: var(--${name}); }`).join('\n')}
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --faint: #bbb; --soft: #333; }
  section, figure, table { break-inside: avoid; } main { max-width: none; padding: 0; } }
`;
