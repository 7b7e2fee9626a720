/**
 * Colours of the pictures, from Okabe and Ito's palette ("Color Universal Design", 2008), darkened or lightened where
 * the ground asks for it. The page and the standalone pictures carry the same rules.
 */
export const LIGHT = `--ink: #1b1b1b; --paper: #ffffff; --faint: #d9d9d9; --soft: #555555;
  --outrigger: #d55e00; --envoy: #0072b2; --nginx: #008060; --haproxy: #a8467f;`;
export const DARK = `--ink: #e8e8e8; --paper: #16181b; --faint: #3a3d42; --soft: #b0b4ba;
  --outrigger: #f08a3c; --envoy: #56b4e9; --nginx: #2fc79a; --haproxy: #dd8fbb;`;

const SERIES = {
  outrigger: '--outrigger',
  envoy: '--envoy',
  nginx: '--nginx',
  haproxy: '--haproxy',
  other: '--ink',
  'series-1': '--outrigger',
  'series-2': '--envoy',
  'series-3': '--nginx',
  'series-4': '--haproxy',
  'series-5': '--ink',
};

/** Fill of each part of a stacked bar: a colour, or a pattern of it on the ground. */
export const PART_FILLS: Readonly<Record<string, string>> = {
  'os-read': '#56b4e9',
  'sidecar-read': 'url(#stripes-read)',
  packet: '#999999',
  parse: '#e69f00',
  header: 'url(#stripes-header)',
  filter: '#d55e00',
  poll: '#f0e442',
  'sidecar-write': 'url(#stripes-write)',
  'os-write': '#009e73',
  beside: 'url(#dots-beside)',
  user: 'url(#cross-user)',
  unattributed: 'url(#bold-unattributed)',
};

function stripes(id: string, colour: string): string {
  return `<pattern id="${id}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="ground"/><rect width="3" height="6" fill="${colour}"/></pattern>`;
}

/** Patterns of the parts; once in a page or a picture. */
export const PATTERNS = `<defs>${[
  stripes('stripes-read', '#56b4e9'),
  stripes('stripes-header', '#e69f00'),
  stripes('stripes-write', '#009e73'),
].join('')}
<pattern id="dots-beside" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#cc79a7"/><circle cx="3" cy="3" r="1.4" class="ground"/></pattern>
<pattern id="cross-user" width="7" height="7" patternUnits="userSpaceOnUse"><rect width="7" height="7" class="ground"/><path d="M0 0L7 7M7 0L0 7" stroke="#0072b2" stroke-width="1.4"/></pattern>
<pattern id="bold-unattributed" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="9" height="9" class="ground"/><rect width="4.5" height="9" class="dark"/></pattern></defs>`;

export const CHART_STYLE = `
.chart { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
.chart text { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; } .chart .soft { fill: var(--soft); } .chart .strong { font-weight: 600; }
.grid { stroke: var(--faint); fill: none; } .axis { stroke: var(--soft); fill: none; }
.spread, .cut { stroke: var(--ink); fill: none; stroke-width: 1.2; } .cut { stroke: var(--paper); stroke-width: 2; }
.thin { stroke: var(--soft); fill: none; }
.line { fill: none; stroke-width: 2; } .hollow { fill: var(--paper); stroke-width: 2; }
.part { stroke: var(--ink); stroke-width: 0.6; } .plate, .ground { fill: var(--paper); } .dark { fill: var(--ink); }
${Object.entries(SERIES)
  .map(
    ([name, colour]) =>
      `.solid.${name} { fill: var(${colour}); } .line.${name}, .hollow.${name} { stroke: var(${colour}); }`,
  )
  .join('\n')}
${Object.entries(PART_FILLS)
  .map(([name, fill]) => `.part-${name} { fill: ${fill}; }`)
  .join('\n')}`;
