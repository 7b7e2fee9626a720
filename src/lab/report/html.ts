import { PATTERNS } from './chart/chart-style.ts';
import { escapeXml, svgElement } from './chart/drawing.ts';
import type { Figure, ReportDocument, Section, Statement, Table } from './document.ts';
import { PAGE_STYLE } from './page-style.ts';

/** Widths that charts are drawn for: a column of text, and a telephone. */
const WIDE = 820;
const NARROW = 360;

/** The report as one page that needs nothing else: no script, no font, no picture from elsewhere. */
export function renderHtml(report: ReportDocument): string {
  const { title, date, summary, facts, warnings, sections } = report;
  let figureNumber = 0;
  const body = sections.map((section) =>
    sectionHtml(section, () => {
      figureNumber++;
      return figureNumber;
    }),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeXml(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<svg class="patterns" aria-hidden="true" focusable="false">${PATTERNS}</svg>
<main>
<header>
<h1>${escapeXml(title)}</h1>
<p class="when">Measured ${escapeXml(date.slice(0, 16).replace('T', ' '))} UTC</p>
</header>
<section aria-labelledby="summary"><h2 id="summary">Summary</h2>
<ul class="summary">${summary.map(statementHtml).join('\n')}</ul></section>
<section aria-labelledby="conditions"><h2 id="conditions">Conditions</h2>
<ul>${facts.map((fact) => `<li>${escapeXml(fact)}</li>`).join('\n')}</ul>
${warnings.length === 0 ? '' : `<h3>Warnings of the run</h3>\n<ul>${warnings.map((text) => `<li>${escapeXml(text)}</li>`).join('\n')}</ul>`}
</section>
<nav aria-label="Sections"><ul>${sections.map(({ id, title: name }) => `<li><a href="#${escapeXml(id)}">${escapeXml(name)}</a></li>`).join('')}</ul></nav>
${body.join('\n')}
</main>
</body>
</html>
`;
}

/** What a statement is, in a word. */
export const VERDICTS: Readonly<Record<Statement['verdict'], string>> = {
  reached: 'reached',
  partly: 'in part',
  missed: 'missed',
  open: 'open',
  finding: 'found',
};

function statementHtml({ verdict, text }: Statement): string {
  return `<li class="${verdict}"><span class="verdict">${VERDICTS[verdict]}</span> ${escapeXml(text)}</li>`;
}

function sectionHtml({ id, title, paragraphs, tables, figures }: Section, nextNumber: () => number): string {
  const heading = `${id}-heading`;
  return `<section id="${escapeXml(id)}" aria-labelledby="${escapeXml(heading)}"><h2 id="${escapeXml(heading)}">${escapeXml(title)}</h2>
${paragraphs.map((text) => `<p>${escapeXml(text)}</p>`).join('\n')}
${tables.map((table) => `${tableHtml(table)}${table.command === undefined ? '' : commandHtml(table.command)}`).join('\n')}
${figures.map((figure) => figureHtml(figure, nextNumber())).join('\n')}
</section>`;
}

function figureHtml({ id, title, caption, charts, tables, command }: Figure, number: number): string {
  const drawn = charts.map((chart, i) => {
    const name = `${escapeXml(id)}-${i}`;
    return `${svgElement(chart, WIDE, 'wide', `${name}-wide`)}\n${svgElement(chart, NARROW, 'narrow', `${name}-narrow`)}`;
  });
  return `<figure id="figure-${escapeXml(id)}" aria-labelledby="figure-${escapeXml(id)}-title">
<figcaption><h3 id="figure-${escapeXml(id)}-title">Figure ${number}. ${escapeXml(title)}</h3><p>${escapeXml(caption)}</p></figcaption>
${drawn.join('\n')}
${commandHtml(command)}
<details><summary>The numbers of figure ${number}</summary>
${tables.map(tableHtml).join('\n')}
</details>
</figure>`;
}

function commandHtml(command: string): string {
  return `<p class="command">Reproduce: <code>${escapeXml(command)}</code></p>`;
}

/** A number with or without a unit, a mark, or more in brackets. */
const NUMERIC = /^[+−<]?\d|^–$|^$/;

/** Columns that hold numbers only stand right. */
export function isNumericColumn(table: Table, column: number): boolean {
  const own = table.rows.map((row) => row[column]?.text ?? '');
  return column > 0 && own.some((text) => text !== '' && text !== '–') && own.every((text) => NUMERIC.test(text));
}

/** Sentences and lists get room, so that they do not become towers of words. */
function isLongColumn({ rows }: Table, column: number): boolean {
  return column > 0 && rows.some((row) => (row[column]?.text.length ?? 0) > LONG_TEXT);
}

const LONG_TEXT = 24;

function tableHtml(table: Table): string {
  const { title, columns, rows } = table;
  const kinds = columns.map((_, i) => (isNumericColumn(table, i) ? 'number' : isLongColumn(table, i) ? 'long' : ''));
  const numeric = kinds.map((kind) => (kind === '' ? '' : ` class="${kind}"`));
  const head = columns.map((column, i) => `<th scope="col"${numeric[i]}>${escapeXml(column)}</th>`).join('');
  const body = rows.map((row) => {
    const cellsHtml = row.map(({ text, hint }, i) => {
      const title = hint === undefined ? '' : ` title="${escapeXml(hint)}"`;
      return i === 0
        ? `<th scope="row"${title}>${escapeXml(text)}</th>`
        : `<td${numeric[i]}${title}>${escapeXml(text)}</td>`;
    });
    return `<tr>${cellsHtml.join('')}</tr>`;
  });
  // The title stands outside of what scrolls, so that it stays in sight on a narrow screen.
  return `<p class="table-title">${escapeXml(title)}</p>
<div class="scroll" role="region" tabindex="0" aria-label="${escapeXml(title)}"><table aria-label="${escapeXml(title)}">
<thead><tr>${head}</tr></thead>
<tbody>${body.join('\n')}</tbody></table></div>`;
}
