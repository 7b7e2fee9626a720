import type { CallGraph } from './call-graph.ts';
import { layered } from './layout.ts';
import type { Plan } from './plan.ts';

/** Larger graphs are no picture any more. */
export const MAX_PICTURE_SERVICES = 400;

const BOX = { width: 156, height: 44, gapX: 96, gapY: 26, margin: 24 };

/** Colours of Okabe and Ito, which people with any colour vision tell apart; shapes and words say the same. */
const STYLE = `
:root { color-scheme: light dark; }
.plan { --ink: #1b1b1b; --paper: #ffffff; --line: #6b6b6b; --adm: #0072b2; --adm-ink: #ffffff; --plain: #f2f2f2; --out: #d55e00; font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .plan { --ink: #ececec; --paper: #16181b; --line: #9a9a9a; --adm: #56b4e9; --adm-ink: #0b0b0b; --plain: #2a2d31; --out: #e69f00; } }
@media print { .plan { --ink: #000; --paper: #fff; --line: #444; --adm: #0072b2; --adm-ink: #fff; --plain: #fff; --out: #d55e00; } }
.plan .sheet { fill: var(--paper); }
.plan .service rect { fill: var(--plain); stroke: var(--line); }
.plan .service text { fill: var(--ink); text-anchor: middle; }
.plan .adm rect { fill: var(--adm); stroke: var(--ink); stroke-width: 2; }
.plan .adm text { fill: var(--adm-ink); font-weight: 600; }
.plan .external rect { stroke-dasharray: 4 3; }
.plan .small { font-size: 10px; font-weight: 400; }
.plan .call { fill: none; stroke: var(--line); }
.plan .skips { stroke-dasharray: 2 4; }
.plan .arrow { fill: var(--line); }
.plan .at { fill: var(--out); stroke: var(--ink); }
.plan .legend text { fill: var(--ink); }
`;

/** The graph as SVG: who has an ADM, and at which end of each call its policies run. Undefined when it is too large. */
export function planSvg(graph: CallGraph, plan: Plan): string | undefined {
  const { services, calls } = graph;
  if (services.length > MAX_PICTURE_SERVICES) return undefined;
  const places = layered(services.length, calls);
  const at = places.map(({ layer, row }) => ({
    x: BOX.margin + layer * (BOX.width + BOX.gapX),
    y: BOX.margin + row * (BOX.height + BOX.gapY),
  }));
  const width = Math.max(660, ...at.map(({ x }) => x + BOX.width + BOX.margin));
  const bottom = Math.max(...at.map(({ y }) => y + BOX.height)) + BOX.margin;
  const adms = new Map(plan.adms.map((adm) => [adm.service, adm]));
  const sides = sidesOfCalls(graph, plan);
  const lines = calls.map(({ from, to, rate }) => {
    const key = `${services[from]!.name} ${services[to]!.name}`;
    return callLine(at[from]!, at[to]!, sides.get(key), `${services[from]!.name} → ${services[to]!.name}, ${rate}/s`);
  });
  const boxes = services.map(({ name, external, replicas }, index) => {
    const adm = adms.get(name);
    const names = [...new Set((adm?.policies ?? []).map(({ policy }) => policy))].join(', ');
    const note =
      adm === undefined ? (external ? 'outside' : 'no sidecar') : `ADM: ${short(names === '' ? 'standby' : names, 20)}`;
    const kind = adm === undefined ? (external ? ' external' : '') : ' adm';
    const { x, y } = at[index]!;
    return [
      `<g class="service${kind}"><title>${escaped(adm?.why ?? `${name}: ${note}`)}</title>`,
      `<rect x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="${adm === undefined ? 4 : 14}"/>`,
      `<text x="${x + BOX.width / 2}" y="${y + 18}">${escaped(label(name, replicas))}</text>`,
      `<text class="small" x="${x + BOX.width / 2}" y="${y + 34}">${escaped(note)}</text></g>`,
    ].join('');
  });
  const height = bottom + 44;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="plan" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${plan.adms.length} ADMs for ${services.length} services</title><style>${STYLE}</style>`,
    `<rect class="sheet" width="${width}" height="${height}"/>`,
    ...lines,
    ...boxes,
    legend(bottom),
    '</svg>\n',
  ].join('\n');
}

interface Point {
  readonly x: number;
  readonly y: number;
}

type Ends = { sender: boolean; receiver: boolean };

/** Calls of which nothing is said pass no ADM. */
function sidesOfCalls({ services, calls }: CallGraph, plan: Plan): Map<string, Ends> {
  const found = new Map<string, Ends>();
  const plain = new Set(plan.skips.map(({ from, to }) => `${from} ${to}`));
  const policed = new Set(
    plan.placements.flatMap(({ senders, receiver }) => senders.map((one) => `${one} ${receiver}`)),
  );
  for (const { from, to } of calls) {
    const key = `${services[from]!.name} ${services[to]!.name}`;
    // Whom a guard is not about passes its ADM all the same.
    if (!policed.has(key) && !plain.has(key)) found.set(key, { sender: false, receiver: false });
  }
  for (const { senders, receiver, side } of plan.placements) {
    for (const sender of senders) {
      const key = `${sender} ${receiver}`;
      const ends = found.get(key) ?? { sender: false, receiver: false };
      found.set(key, { sender: ends.sender || side !== 'receiver', receiver: ends.receiver || side !== 'sender' });
    }
  }
  return found;
}

/** A dot at the end where policies run; a dotted line where none do. */
function callLine(from: Point, to: Point, ends: Ends | undefined, title: string): string {
  const isForward = to.x > from.x;
  const start = { x: isForward ? from.x + BOX.width : from.x, y: from.y + BOX.height / 2 };
  const end = { x: isForward ? to.x : to.x + BOX.width, y: to.y + BOX.height / 2 };
  const columns = Math.round((to.x - from.x) / (BOX.width + BOX.gapX));
  const bend = isForward ? BOX.gapX / 2 : columns === 0 ? -BOX.gapX : -BOX.gapX / 2;
  // Calls over several columns pass between the rows, and those back below what comes the other way.
  const lift = columns > 1 ? -BOX.height : columns < 0 ? BOX.height : 0;
  const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 + lift };
  const near = Math.abs(columns) <= 1;
  const path = near
    ? `M ${start.x} ${start.y} C ${start.x + bend} ${start.y + lift}, ${end.x - bend} ${end.y + lift}, ${end.x} ${end.y}`
    : `M ${start.x} ${start.y} C ${start.x + bend / 2} ${start.y}, ${start.x + bend / 2} ${middle.y}, ${start.x + bend} ${middle.y} L ${end.x - bend} ${middle.y} C ${end.x - bend / 2} ${middle.y}, ${end.x - bend / 2} ${end.y}, ${end.x} ${end.y}`;
  const tip = isForward ? -8 : 8;
  const dot = ({ x, y }: Point, away: number): string => `<circle class="at" cx="${x + away}" cy="${y}" r="4"/>`;
  const out = isForward ? 6 : -6;
  return [
    `<g><title>${escaped(title)}</title><path class="call${ends === undefined ? ' skips' : ''}" d="${path}"/>`,
    `<path class="arrow" d="M ${end.x} ${end.y} l ${tip} -4 l 0 8 z"/>`,
    ends?.sender === true ? dot(start, out) : '',
    ends?.receiver === true ? dot(end, -out * 2.4) : '',
    '</g>',
  ].join('');
}

function legend(y: number): string {
  const entries = [
    ['<circle class="at" cx="6" cy="-4" r="4"/>', 'policies run at this end'],
    ['<path class="call skips" d="M -4 -4 h 22"/>', 'no policy: passes no ADM'],
    ['<g class="service adm"><rect x="-4" y="-12" width="22" height="14" rx="6"/></g>', 'has an ADM (sidecar)'],
  ] as const;
  const parts = entries.map(
    ([mark, text], index) =>
      `<g transform="translate(${BOX.margin + index * 200}, ${y + 20})">${mark}<text x="24" y="0">${text}</text></g>`,
  );
  return `<g class="legend">${parts.join('')}</g>`;
}

/** The picture, the reasons and the comparison on one page that needs nothing else. */
export function planHtml(graph: CallGraph, plan: Plan): string {
  const svg = planSvg(graph, plan);
  const rows = plan.comparison.map(({ name, adms, processes, cpuCores, memoryMiB, latencyMicros }) =>
    tableRow([
      name,
      adms,
      processes,
      cpuCores.toFixed(cpuCores < 1 ? 4 : 2),
      memoryMiB.toFixed(0),
      latencyMicros.toFixed(1),
    ]),
  );
  const reasons = plan.placements
    .slice(0, 2000)
    .map(({ policy, receiver, at, why }) => tableRow([receiver, policy, at.join(', '), why]));
  const page = `body { margin: 2rem; background: Canvas; color: CanvasText; font: 14px/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { border-bottom: 1px solid color-mix(in srgb, CanvasText 25%, transparent); padding: .25rem .75rem; text-align: left; vertical-align: top; }
.scroll { overflow-x: auto; } @media print { body { margin: 0; } }`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><title>Plan: ${plan.adms.length} ADMs</title><style>${page}</style></head><body>
<h1>${plan.adms.length} ADMs for ${graph.services.length} services</h1>
<div class="scroll">${svg ?? `<p>${graph.services.length} services are too many for a picture.</p>`}</div>
<h2>Compared</h2>
<table><tr><th></th><th>ADMs</th><th>processes</th><th>CPU, cores</th><th>memory, MiB</th><th>added latency, µs</th></tr>${rows.join('')}</table>
<p>Costs: ${escaped(plan.costs.source)}</p>
<h2>Why</h2>
<table><tr><th>receiver</th><th>policy</th><th>at</th><th>why</th></tr>${reasons.join('')}</table>
</body></html>
`;
}

function tableRow(cells: readonly (string | number)[]): string {
  return `<tr>${cells.map((cell) => `<td>${escaped(String(cell))}</td>`).join('')}</tr>`;
}

/** What fits into a box in bold. */
function label(name: string, replicas: number): string {
  const times = replicas > 1 ? ` ×${replicas}` : '';
  return `${short(name, 19 - times.length)}${times}`;
}

function short(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one]!);
}
