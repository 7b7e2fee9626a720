/**
 * Script of the home page: polls /live and shows it. All data goes in as text nodes: paths and names come from clients.
 * It is sent as it stands here, so it keeps to what browsers have.
 */
export const PAGE_SCRIPT = `
'use strict';
const POLL_MS = 1000;
const KEPT_SAMPLES = 60;
const RATE_SAMPLES = 3;
const LATENCY_SAMPLES = 15;
const samples = [];
let paused = false;

const byId = (id) => document.getElementById(id);

function node(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function replace(id, ...children) { byId(id).replaceChildren(...children); }

function compact(value) {
  if (value >= 1e6) return (value / 1e6).toFixed(1) + 'M';
  if (value >= 1e4) return (value / 1e3).toFixed(1) + 'k';
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(value >= 10 ? 0 : 1);
}

function span(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min']];
  for (const [size, unit] of parts) if (seconds >= size) return Math.floor(seconds / size) + ' ' + unit;
  return Math.floor(seconds) + ' s';
}

function rate(field, now, before) {
  if (!before) return undefined;
  const elapsed = (now.timeEpochMs - before.timeEpochMs) / 1000;
  return elapsed > 0 ? Math.max(0, now.totals[field] - before.totals[field]) / elapsed : undefined;
}

function quantile(share, now, before) {
  const counts = now.totals.latency.map(([bound, count], i) => [bound, count - (before ? before.totals.latency[i]?.[1] ?? 0 : 0)]);
  const total = counts.length ? counts[counts.length - 1][1] : 0;
  if (total <= 0) return undefined;
  let lower = 0;
  let below = 0;
  for (const [bound, count] of counts) {
    if (count >= share * total && count > below) return bound === null ? lower : lower + (bound - lower) * (share * total - below) / (count - below);
    if (bound !== null) lower = bound;
    below = count;
  }
  return lower;
}

function milliseconds(value) {
  if (value === undefined) return '\\u2013';
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

function tile(label, value, unit, series) {
  const number = node('dd', {}, value === undefined ? '\\u2013' : typeof value === 'number' ? compact(value) : value);
  if (unit) number.append(node('small', {}, unit));
  const box = node('div', { class: 'tile' }, node('dt', {}, label), number);
  if (series) box.append(sparkline(series));
  return box;
}

function sparkline(series) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 100 28');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const top = Math.max(1e-9, ...series);
  const points = series.map((value, i) => (100 - (series.length - 1 - i) * 100 / (KEPT_SAMPLES - 2)).toFixed(1) + ',' + (26 - 24 * value / top).toFixed(1));
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  line.setAttribute('points', points.join(' '));
  svg.append(line);
  return svg;
}

function history(field) {
  const values = [];
  for (let i = 1; i < samples.length; i++) values.push(rate(field, samples[i], samples[i - 1]) ?? 0);
  return values;
}

function showTiles(now) {
  const before = samples[Math.max(0, samples.length - 1 - RATE_SAMPLES)];
  const earlier = samples[Math.max(0, samples.length - 1 - LATENCY_SAMPLES)];
  const recent = before === now ? undefined : before;
  const quiet = earlier === now || quantile(0.5, now, earlier) === undefined;
  const base = quiet ? undefined : earlier;
  const period = quiet ? 'ms since start' : 'ms';
  const rates = [['Requests', 'requests'], ['Status 4xx', 'status4xx'], ['Status 5xx', 'status5xx'], ['Denied', 'denied']];
  replace('tiles',
    ...rates.map(([label, field]) => tile(label, rate(field, now, recent), '/s', history(field))),
    tile('Latency, median', milliseconds(quantile(0.5, now, base)), period),
    tile('Latency, 99th percentile', milliseconds(quantile(0.99, now, base)), period),
    tile('In flight', now.totals.active, 'on ' + compact(now.totals.connections) + ' connections'),
    tile('Memory', compact(now.rssBytes / 1048576), 'MiB'));
}

function showHead(now) {
  const kinds = { LIVE: 'good', DRAINING: 'warn' };
  const badge = byId('state');
  badge.className = 'badge ' + (kinds[now.state] || 'warn');
  if (badge.textContent !== now.state) badge.textContent = now.state;
  const node = now.node.id ? ' \\u00b7 ' + now.node.id : '';
  replace('about', now.version + node + ' \\u00b7 up ' + span((now.timeEpochMs - now.startedAtEpochMs) / 1000) +
    ' \\u00b7 configuration ' + now.configHash.slice(0, 10) + ', loaded ' + new Date(now.configLoadedAtEpochMs).toLocaleTimeString());
}

function showListeners(listeners) {
  const rows = listeners.map((listener) => {
    const chains = listener.filterChains.map((chain) =>
      node('ol', { class: 'chain', 'aria-label': 'filter chain ' + chain.name }, ...chain.filters.map((filter) => node('li', {}, filter))));
    return node('tr', {}, node('td', {}, node('strong', {}, listener.name), ...chains),
      node('td', {}, node('span', { class: 'mono nowrap' }, listener.address)), node('td', {}, listener.kind), node('td', { class: 'num' }, compact(listener.activeConnections)));
  });
  fill('listeners', rows, 4, 'No listener.');
}

function fill(id, rows, columns, empty) {
  replace(id, ...(rows.length ? rows : [node('tr', {}, node('td', { colspan: columns, class: 'muted' }, empty))]));
}

function showClusters(clusters) {
  const rows = clusters.flatMap((cluster) => {
    const endpoints = cluster.endpoints;
    if (!endpoints.length) return [node('tr', {}, node('td', {}, node('strong', {}, cluster.name)), node('td', { colspan: 5, class: 'bad' }, 'no endpoint'))];
    return endpoints.map((endpoint, i) => node('tr', {},
      node('td', {}, i ? '' : node('strong', {}, cluster.name), i ? '' : node('div', { class: 'muted' }, cluster.type)),
      node('td', {}, node('span', { class: 'mono nowrap' }, endpoint.address)),
      node('td', { class: endpoint.healthy ? 'good' : 'bad' }, endpoint.healthy ? 'healthy' : endpoint.healthFlags),
      node('td', { class: 'num' }, compact(endpoint.stats.rq_active || 0)),
      node('td', { class: 'num' }, compact(endpoint.stats.rq_total || 0)),
      node('td', { class: 'num' + (endpoint.stats.rq_error ? ' bad' : '') }, compact(endpoint.stats.rq_error || 0))));
  });
  fill('clusters', rows, 6, 'No cluster.');
}

function nanoseconds(value) {
  if (value >= 1e6) return (value / 1e6).toFixed(2) + ' ms';
  return value >= 1000 ? (value / 1000).toFixed(1) + ' \\u00b5s' : Math.round(value) + ' ns';
}

function showDenials(denials) {
  const rows = denials.map((denial) => node('tr', {},
    node('td', { class: 'nowrap' }, new Date(denial.timeEpochMs).toLocaleTimeString()),
    node('td', {}, node('span', { class: 'mono' }, (denial.method + ' ' + denial.path).trim() || 'connection')),
    node('td', {}, denial.filter),
    node('td', {}, node('span', { class: 'mono' }, denial.details)),
    node('td', { class: 'num' }, denial.status ? String(denial.status) : '\\u2013'),
    node('td', {}, denial.flags), node('td', {}, node('span', { class: 'mono' }, denial.remoteAddress)), node('td', {}, denial.listener)));
  fill('denials', rows, 8, 'Nothing was denied.');
}

function show(now) {
  samples.push(now);
  if (samples.length > KEPT_SAMPLES) samples.shift();
  showHead(now);
  showTiles(now);
  showListeners(now.listeners);
  showClusters(now.clusters);
  showComponents(now.components);
  showDenials(now.denials);
  showTaps(now.taps);
}

async function poll() {
  if (!paused && !document.hidden) {
    try {
      const response = await fetch('/live', { signal: AbortSignal.timeout(5000) });
      if (!response.ok) throw new Error('status ' + response.status);
      show(await response.json());
      byId('trouble').hidden = true;
    } catch (error) {
      byId('trouble').hidden = false;
      replace('trouble', 'No answer from the proxy (' + error.message + '); trying again.');
    }
  }
  setTimeout(poll, POLL_MS);
}

byId('pause').addEventListener('click', () => {
  paused = !paused;
  byId('pause').textContent = paused ? 'Resume' : 'Pause';
  byId('pause').setAttribute('aria-pressed', String(paused));
});
byId('pause').hidden = false;
poll();
`;
