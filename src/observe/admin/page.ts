import { COMPONENTS_SCRIPT, COMPONENTS_SECTION, COMPONENTS_STYLE } from './page-components.ts';
import { PAGE_SCRIPT as STATUS_SCRIPT } from './page-script.ts';
import { PAGE_STYLE as STATUS_STYLE } from './page-style.ts';
import { TAP_SCRIPT, TAP_SECTION, TAP_STYLE } from './page-tap.ts';

const PAGE_SCRIPT = STATUS_SCRIPT + COMPONENTS_SCRIPT + TAP_SCRIPT;
const PAGE_STYLE = STATUS_STYLE + COMPONENTS_STYLE + TAP_STYLE;

const LINKS = [
  'help',
  'ready',
  'stats',
  'stats/prometheus',
  'clusters',
  'listeners',
  'config_dump',
  'certs',
  'memory',
  'server_info',
  'denials',
  'filters',
  'components',
]
  .map((path) => `<a href="/${path}">${path}</a>`)
  .join('\n');

const ICON =
  "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path d='M1 9h14l-3 4H4zM8 2v6M8 2l4 5H8' fill='none' stroke='%230b6bcb' stroke-width='1.5'/></svg>";

/** A table whose body the script fills; it scrolls by itself where the window is narrow. */
function table(id: string, title: string, columns: readonly string[]): string {
  const heads = columns.map((column) => {
    const isNumber = column.startsWith('#');
    return `<th scope="col"${isNumber ? ' class="num"' : ''}>${isNumber ? column.slice(1) : column}</th>`;
  });
  return `<section aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
<div class="scroll${columns.length > 6 ? ' wide' : ''}" tabindex="0" role="group" aria-labelledby="${id}-title"><table><thead><tr>${heads.join('')}</tr></thead><tbody id="${id}"></tbody></table></div></section>`;
}

/** The home page: one document without any other resource. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outrigger</title>
<link rel="icon" href="${ICON}">
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>Outrigger</h1>
<span id="state" class="badge" role="status"></span>
<span id="about" class="muted"></span>
<span class="spring"></span>
<button id="pause" type="button" aria-pressed="false" hidden>Pause</button>
</header>
<main>
<noscript><p>This page needs JavaScript for its live figures; the same is under the links below.</p></noscript>
<div id="trouble" role="alert" hidden></div>
<dl id="tiles" class="tiles"></dl>
${table('listeners', 'Listeners and filter chains', ['Listener', 'Address', 'Kind', '#Connections'])}
${COMPONENTS_SECTION}
${table('clusters', 'Clusters', ['Cluster', 'Endpoint', 'Health', '#Active', '#Requests', '#Errors'])}
${table('denials', 'Last denials', ['Time', 'Request', 'Filter', 'Reason', '#Status', 'Flags', 'Client', 'Listener'])}
${TAP_SECTION}
</main>
<footer>
${LINKS}
</footer>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;

export { PAGE_SCRIPT, PAGE_STYLE };
