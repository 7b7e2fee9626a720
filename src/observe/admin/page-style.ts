/** Style of the home page. Colours come in pairs for light and dark, each with a contrast of at least 4.5 to its ground. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f4f6f8, #0f1419);
  --card: light-dark(#ffffff, #182029);
  --line: light-dark(#dbe1e8, #2a3642);
  --text: light-dark(#17202a, #e4eaf0);
  --muted: light-dark(#55636f, #93a3b3);
  --accent: light-dark(#0b6bcb, #5db0ff);
  --bar: light-dark(#8fc1ef, #24598c);
  --good: light-dark(#137a3f, #4fcf87);
  --warn: light-dark(#8a5a00, #f0b849);
  --bad: light-dark(#b3261e, #ff8a80);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main, header, footer { max-width: 1200px; margin: 0 auto; padding: 0 20px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 14px; padding-top: 22px; padding-bottom: 14px; }
h1 { font-size: 22px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 15px; margin: 0 0 10px; }
h3 { font: 600 13px ui-monospace, monospace; margin: 14px 0 6px; overflow-wrap: anywhere; }
.muted { color: var(--muted); }
.badge { font-size: 12px; font-weight: 600; padding: 2px 10px; border-radius: 99px; border: 1px solid currentColor; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
header .spring { flex: 1; }
button { font: inherit; font-size: 13px; color: var(--text); background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: 4px 14px; cursor: pointer; }
button:focus-visible, a:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 12px; margin: 0 0 16px; padding: 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px 8px; }
.tile dt { font-size: 13px; color: var(--muted); }
.tile dd { margin: 0; font-size: 25px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tile dd small { font-size: 13px; font-weight: 400; color: var(--muted); margin-left: 4px; }
.tile svg { display: block; width: 100%; height: 28px; }
polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; margin-bottom: 16px; min-width: 0; }
.scroll { overflow: auto; max-height: 440px; }
thead th { position: sticky; top: 0; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th { text-align: left; font-weight: 500; color: var(--muted); font-size: 12.5px; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.num, th.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code, .mono { font: 12.5px ui-monospace, monospace; overflow-wrap: anywhere; }
td .mono { display: inline-block; max-width: 44ch; }
.nowrap { white-space: nowrap; }
ol.chain { list-style: none; display: flex; flex-wrap: wrap; gap: 4px; margin: 4px 0 0; padding: 0; }
ol.chain li { font: 12px ui-monospace, monospace; background: var(--ground); border: 1px solid var(--line); border-radius: 5px; padding: 0 7px; }
ol.chain li:not(:last-child)::after { content: " \\2192"; color: var(--muted); }
.bar { display: grid; grid-template-columns: minmax(0, 15em) 1fr 6.5em; gap: 12px; align-items: center; font-size: 13.5px; padding: 3px 0; }
.bar .track { height: 14px; border-radius: 4px; background: var(--ground); overflow: hidden; }
.bar .fill { height: 100%; min-width: 2px; background: var(--bar); border-radius: 4px; }
.bar .value { text-align: right; font-variant-numeric: tabular-nums; }
#trouble { background: var(--card); border: 1px solid var(--bad); color: var(--bad); border-radius: 10px; padding: 10px 16px; margin-bottom: 16px; }
footer { padding-bottom: 30px; font-size: 13.5px; }
footer a, noscript a { color: var(--accent); margin-right: 14px; display: inline-block; }
@media (max-width: 760px) {
  .grid { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .scroll table { min-width: 480px; }
  .wide table { min-width: 900px; }
  main, header, footer { padding-left: 12px; padding-right: 12px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .bar { grid-template-columns: minmax(0, 9em) 1fr 5.5em; }
}
`;
