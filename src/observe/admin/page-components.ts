/** The stacked bars of the home page: where each route's CPU time goes. Data goes in as text nodes, as everywhere on the page. */
export const COMPONENTS_SECTION = `<section aria-labelledby="components-title"><h2 id="components-title">Where the time goes <span class="muted">(CPU per route and component)</span></h2>
<p id="components-about" class="muted"></p><div id="components"></div></section>`;

/** Colours that the colour-blind tell apart (Okabe and Ito), with a pattern of borders between neighbours. */
export const COMPONENTS_STYLE = `
.stack{display:flex;height:22px;border-radius:4px;overflow:hidden;background:var(--line,#ddd)}
.stack>span{display:block;min-width:1px;border-right:1px solid Canvas}
.stack>span:last-child{border-right:0}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;list-style:none;padding:0;margin:4px 0 14px;font-size:.85em}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.legend small{opacity:.7}
`;

export const COMPONENTS_SCRIPT = `
const PART_COLOURS = { event_poll: '#999999', os_read: '#0072b2', sidecar_read: '#56b4e9', packet_processing: '#f0e442', http_parse: '#e69f00',
  header_codec: '#b87a00', routing: '#c8b400', tls: '#6a3d9a', sidecar_write: '#66c2a4', os_write: '#009e73', os_ipc: '#006d4f', runtime: '#444444', kernel_other: '#777777' };
const FILTER_COLOURS = ['#d55e00', '#cc79a7', '#a6324a', '#f4976c', '#8e4585'];

function partColour(part, place) { return PART_COLOURS[part] || FILTER_COLOURS[place % FILTER_COLOURS.length]; }

function showComponents(report) {
  if (report.mode === 'off') {
    replace('components-about', 'Nothing is timed: start the proxy with --probe sampled.');
    replace('components');
    return;
  }
  const loose = report.cpuNs === null || report.cpuNs <= 0 ? '' : ' \\u00b7 not attributed: ' + (100 * report.unattributedNs / report.cpuNs).toFixed(1) + ' % of the threads\\u2019 CPU time, the probe itself: ' + (100 * report.probeNs / report.cpuNs).toFixed(1) + ' %';
  const fitted = report.mode === 'sampled' ? ' \\u00b7 what was timed came to ' + (100 / report.rowScale).toFixed(0) + ' % of that time, and is scaled to it' : '';
  replace('components-about', compact(report.timed) + ' events timed of ' + compact(report.events) + loose + fitted);
  const bars = report.routes.filter((route) => route.ns > 0).map((route) => {
    let filters = 0;
    const parts = route.parts.filter((part) => part.ns > 0).map((part) => ({ ...part, share: part.ns / route.ns, colour: partColour(part.part, part.part.startsWith('filter/') ? filters++ : 0) }));
    const value = (part) => part.nsPerRequest === null ? (100 * part.share).toFixed(1) + ' %' : nanoseconds(part.nsPerRequest);
    const stack = node('div', { class: 'stack', role: 'img', 'aria-label': parts.map((part) => part.title + ' ' + value(part)).join(', ') });
    for (const part of parts) {
      const piece = node('span', { title: part.title + ': ' + value(part) + ', ' + (100 * part.share).toFixed(1) + ' %, ' + part.basis });
      piece.style.width = (100 * part.share).toFixed(2) + '%';
      piece.style.background = part.colour;
      stack.append(piece);
    }
    const legend = node('ul', { class: 'legend' }, ...parts.map((part) => {
      const colour = node('i', {});
      colour.style.background = part.colour;
      return node('li', { title: part.basis }, colour, part.title + ' ', node('small', {}, value(part) + (part.basis === 'measured' ? '' : ' *')));
    }));
    const each = route.requests > 0 ? nanoseconds(route.ns / route.requests) + ' per request, ' + compact(route.requests) + ' requests' : (route.ns / 1e6).toFixed(1) + ' ms of CPU';
    return node('div', {}, node('h3', {}, (route.route || 'shared by all routes') + ' ', node('span', { class: 'muted' }, each)), stack, legend);
  });
  if (bars.length) bars.push(node('p', { class: 'muted' }, '* by difference or calibration, not timed by itself'));
  replace('components', ...(bars.length ? bars : [node('p', { class: 'muted' }, 'Nothing has been timed yet.')]));
}
`;
