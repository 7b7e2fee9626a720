/** The part of the home page that shows what tap filters record, while somebody wants to see it. */
export const TAP_SECTION = `<section id="tap-section" aria-labelledby="tap-title" hidden><h2 id="tap-title">Tap <span class="muted">(exchanges as they pass, without secrets)</span></h2>
<p class="tap-controls"><label>Filter <select id="tap-id"></select></label>
<label>Path begins with <input id="tap-path" type="text" spellcheck="false" placeholder="/"></label>
<button id="tap-toggle" type="button" aria-pressed="false">Start</button>
<span id="tap-state" class="muted" role="status"></span></p>
<div class="scroll wide" tabindex="0" role="group" aria-labelledby="tap-title"><table><thead><tr><th scope="col">Time</th><th scope="col">Request</th><th scope="col" class="num">Status</th><th scope="col">Headers and bodies</th></tr></thead><tbody id="tap"></tbody></table></div></section>`;

export const TAP_STYLE = `
.tap-controls { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; margin: 0 0 10px; font-size: 13.5px; }
.tap-controls input, .tap-controls select { font: inherit; color: var(--text); background: var(--ground); border: 1px solid var(--line); border-radius: 7px; padding: 3px 8px; }
.tap-controls input:focus-visible, .tap-controls select:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
summary { cursor: pointer; }
pre { margin: 4px 0 10px; white-space: pre-wrap; overflow-wrap: anywhere; font: 12.5px ui-monospace, monospace; }
`;

/** Behind the script of the page, whose functions it uses: all data goes in as text nodes. */
export const TAP_SCRIPT = `
const KEPT_TRACES = 50;
const PREVIEW_CHARACTERS = 400;
let tapping;

function showTaps(ids) {
  byId('tap-section').hidden = !ids.length;
  const select = byId('tap-id');
  const shown = Array.from(select.options, (option) => option.value);
  if (shown.join('\\n') === ids.join('\\n')) return;
  const chosen = select.value;
  select.replaceChildren(...ids.map((id) => node('option', { value: id }, id)));
  if (ids.includes(chosen)) select.value = chosen;
}

function tapRequest() {
  const path = byId('tap-path').value;
  const match = path ? { http_request_headers_match: { headers: [{ name: ':path', string_match: { prefix: path } }] } } : { any_match: true };
  return { config_id: byId('tap-id').value, tap_config: { match, output_config: {
    sinks: [{ format: 'JSON_BODY_AS_STRING', streaming_admin: {} }], max_buffered_rx_bytes: 1024, max_buffered_tx_bytes: 1024 } } };
}

function messageText(message) {
  const lines = message.headers.map(({ key, value }) => key + ': ' + value);
  if (!message.body) return lines.join('\\n');
  const body = message.body.as_string || '';
  const isCut = message.body.truncated || body.length > PREVIEW_CHARACTERS;
  return lines.join('\\n') + '\\n\\n' + body.slice(0, PREVIEW_CHARACTERS) + (isCut ? ' \\u2026' : '');
}

function headerOf(message, name) {
  return message?.headers.find(({ key }) => key === name)?.value;
}

function showTrace({ http_buffered_trace: trace }) {
  const { request, response } = trace;
  const status = headerOf(response, ':status');
  const line = (headerOf(request, ':method') || '') + ' ' + (headerOf(request, ':path') || '');
  const more = node('details', {}, node('summary', {}, request.headers.length + ' request headers, ' + (response ? response.headers.length + ' response headers' : 'no response')),
    node('pre', {}, messageText(request)), ...(response ? [node('pre', {}, messageText(response))] : []));
  byId('tap').prepend(node('tr', {}, node('td', { class: 'nowrap' }, new Date().toLocaleTimeString()),
    node('td', {}, node('span', { class: 'mono' }, line)), node('td', { class: 'num' + (status >= '400' ? ' bad' : '') }, status || '\\u2013'), node('td', {}, more)));
  while (byId('tap').rows.length > KEPT_TRACES) byId('tap').deleteRow(-1);
}

/** Traces stand behind each other; each ends with a line that is one brace. */
async function readTraces(signal) {
  const response = await fetch('/tap', { method: 'POST', body: JSON.stringify(tapRequest()), signal });
  if (!response.ok) throw new Error(await response.text());
  byId('tap-state').textContent = 'waiting for requests';
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let count = 0;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    for (let end = rest.indexOf('\\n}\\n'); end >= 0; end = rest.indexOf('\\n}\\n')) {
      showTrace(JSON.parse(rest.slice(0, end + 2)));
      rest = rest.slice(end + 3);
      byId('tap-state').textContent = ++count + ' recorded';
    }
  }
}

async function toggleTap() {
  if (tapping) {
    tapping.abort();
    return;
  }
  tapping = new AbortController();
  byId('tap-toggle').textContent = 'Stop';
  byId('tap-toggle').setAttribute('aria-pressed', 'true');
  try {
    await readTraces(tapping.signal);
    byId('tap-state').textContent = 'the proxy ended it';
  } catch (error) {
    byId('tap-state').textContent = tapping.signal.aborted ? 'stopped' : error.message;
  }
  tapping = undefined;
  byId('tap-toggle').textContent = 'Start';
  byId('tap-toggle').setAttribute('aria-pressed', 'false');
}

byId('tap-toggle').addEventListener('click', () => void toggleTap());
`;
