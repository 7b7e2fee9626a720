import { CHART_STYLE, DARK, LIGHT } from './chart/chart-style.ts';

/** Where the wide form of a chart gives way to the narrow one. */
export const NARROW_SCREEN_PX = 800;

/** One column of text; dark where the reader's system is; ink on white, and no figure torn apart, in print. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; ${LIGHT} --link: #00558a; }
@media (prefers-color-scheme: dark) { :root { ${DARK} --link: #7cc4f0; } }
@media print { :root { color-scheme: light; ${LIGHT} --ink: #000; --soft: #333; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 24px 20px 80px; }
a { color: var(--link); }
h1 { font-size: 30px; line-height: 1.2; margin: 8px 0; }
h2 { font-size: 23px; line-height: 1.25; margin: 56px 0 8px; border-top: 1px solid var(--faint); padding-top: 20px; }
h3 { font-size: 17px; margin: 0 0 6px; }
.when, figcaption p, .command, .table-title { color: var(--soft); }
nav ul { columns: 2 320px; column-gap: 32px; padding-left: 20px; }
.summary { list-style: none; padding: 0; } .summary li { margin: 10px 0; padding-left: 92px; position: relative; }
.verdict { position: absolute; left: 0; width: 80px; font-size: 12px; font-weight: 700; text-align: center; border: 1.5px solid var(--soft); border-radius: 4px; padding: 1px 0; margin-top: 2px; }
.missed .verdict { background: var(--ink); color: var(--paper); border-color: var(--ink); }
.partly .verdict { border-width: 1.5px 1.5px 1.5px 8px; border-color: var(--ink); } .open .verdict { border-style: dashed; }
code { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.command { font-size: 14px; margin: 8px 0; }
.command code { color: var(--ink); }
figure { margin: 36px 0; }
figcaption p { margin: 0 0 12px; font-size: 15px; }
.chart { display: block; max-width: 100%; height: auto; }
.chart.narrow { display: none; }
.patterns { position: absolute; width: 0; height: 0; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--link); font-size: 15px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.scroll { overflow-x: auto; margin: 0 0 18px; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
.table-title { font-size: 13.5px; margin: 18px 0 4px; }
th, td { padding: 3px 10px 3px 0; border-bottom: 1px solid var(--faint); text-align: left; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; } th.number { text-align: right; }
.long { min-width: 16em; }
thead th { vertical-align: bottom; } tbody th { font-weight: 400; white-space: nowrap; }
${CHART_STYLE}
@media (max-width: ${NARROW_SCREEN_PX - 1}px) { .chart.wide { display: none; } .chart.narrow { display: block; }
  main { padding: 12px 14px 60px; } .summary li { padding-left: 0; } .verdict { position: static; display: inline-block; margin-right: 8px; } }
@media print {
  @page { margin: 14mm; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  .chart.wide { display: block; max-height: 215mm; margin: 0 auto; } .chart.narrow { display: none; }
  h2, h3, .table-title, figcaption, figcaption p { break-after: avoid; } figcaption { break-inside: avoid; } nav { display: none; } figure { break-inside: auto; } .chart, tr, li { break-inside: avoid; }
  .scroll { overflow: visible; } table { font-size: 7.5pt; } th, td { overflow-wrap: anywhere; padding-right: 6px; } tbody th, td.number { white-space: normal; } td:nth-child(2) { white-space: nowrap; } .long { min-width: 9em; }
  summary { list-style: none; color: var(--ink); } details::details-content { content-visibility: visible; height: auto; } a { color: inherit; }
}
`;
