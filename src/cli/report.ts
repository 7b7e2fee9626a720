import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Command } from 'commander';
import type { Characterization } from '../lab/characterize/characterization.ts';
import type { Section } from '../lab/report/document.ts';
import { refuseSame, writeOutput } from './output.ts';
import { UsageError } from './usage-error.ts';

interface ReportFlags {
  readonly html?: string;
  readonly markdown?: string;
  readonly pictures?: string;
  readonly title?: string;
}

const DEFAULT_PAGE = 'outrigger-report.html';

const HELP = `
What is read
  A characterization (what outrigger characterize writes; .bench/characterization.json of the checkout unless given),
  and reports of the benchmark (outrigger bench --json), each of which becomes a section. At most one characterization.

What is written
  --html      one page with pictures and tables that needs no network and no script; for screens, light and dark, and
              for print. Without --html and --markdown: ${DEFAULT_PAGE} in the current folder.
  --markdown  the same for GitHub; with --pictures, it shows them.
  --pictures  the main charts as SVG files, each in light and dark by the reader's choice.

Examples
  outrigger characterize && outrigger report
  outrigger report run.json bench.json --html report.html
  outrigger report --markdown report.md --pictures pictures
`;

/** `outrigger report`: a characterization as a page, as Markdown and as pictures. */
export function reportCommand(): Command {
  return new Command('report')
    .exitOverride()
    .description('Makes a page of figures and tables out of what outrigger characterize has measured.')
    .argument('[file...]', 'a characterization, and reports of the benchmark (JSON)')
    .option('--html <file>', 'write the page')
    .option('--markdown <file>', 'write Markdown')
    .option('--pictures <folder>', 'write each chart as an SVG file')
    .option('--title <text>', 'the title of the report')
    .addHelpText('after', HELP)
    .action(report);
}

async function report(files: readonly string[], flags: ReportFlags): Promise<void> {
  refuseSame([flags.html ?? (flags.markdown === undefined ? DEFAULT_PAGE : undefined), flags.markdown], files);
  const { characterization, sections } = await readInputs(files);
  const { characterizationReport } = await import('../lab/report/characterization-report.ts');
  const document = characterizationReport(characterization, {
    ...(flags.title === undefined ? {} : { title: flags.title }),
    beside: sections,
  });
  const { html, markdown } = flags;
  const written: string[] = [];
  const write = (file: string, text: string): void => {
    writeOutput(file, text);
    written.push(file);
  };
  const names = new Map<string, string>();
  if (flags.pictures !== undefined) {
    const { pictures } = await import('../lab/report/pictures.ts');
    for (const { figure, fileName, svg } of pictures(document)) {
      const file = join(flags.pictures, fileName);
      write(file, svg);
      if (!names.has(figure)) names.set(figure, file);
    }
  }
  if (html !== undefined || markdown === undefined) {
    const { renderHtml } = await import('../lab/report/html.ts');
    write(html ?? DEFAULT_PAGE, renderHtml(document));
  }
  if (markdown !== undefined) {
    const { renderMarkdown } = await import('../lab/report/markdown.ts');
    const pictureOf = (figure: string): string | undefined => {
      const file = names.get(figure);
      return file && relative(dirname(markdown), file);
    };
    write(markdown, renderMarkdown(document, pictureOf));
  }
  process.stdout.write(`${written.map((file) => `wrote ${file}`).join('\n')}\n`);
}

interface Inputs {
  readonly characterization: Characterization;
  readonly sections: readonly Section[];
}

async function readInputs(files: readonly string[]): Promise<Inputs> {
  const { parseReportInput, checkCharacterization, ReportInputError } = await import(
    '../lab/report/read-characterization.ts'
  );
  const { CHARACTERIZATION_SCHEMA } = await import('../lab/characterize/characterization.ts');
  const { BENCH_SCHEMA, checkBenchReport } = await import('../../bench/report/bench-form.ts');
  const { benchSection } = await import('../../bench/report/report-section.ts');
  let found: { readonly file: string; readonly characterization: Characterization } | undefined;
  const sections: Section[] = [];
  try {
    for (const file of files.length === 0 ? [await defaultFile()] : files) {
      const { schema, data } = parseReportInput(file, readInput(file));
      if (schema === CHARACTERIZATION_SCHEMA) {
        if (found !== undefined)
          throw new UsageError(`${found.file} and ${file} are both characterizations: a report is of one`);
        found = { file, characterization: checkCharacterization(file, data) };
      } else if (schema === BENCH_SCHEMA) {
        sections.push(benchSection(checkBenchReport(file, data), sections.length));
      } else {
        throw new UsageError(`${file}: expected ${CHARACTERIZATION_SCHEMA} or ${BENCH_SCHEMA}, found "${schema}"`);
      }
    }
  } catch (error) {
    if (error instanceof ReportInputError) throw new UsageError(error.message);
    throw error;
  }
  if (found === undefined)
    throw new UsageError(
      'none of the files is a characterization: a report of the benchmark alone is outrigger bench --html',
      `outrigger characterize writes ${CHARACTERIZATION_SCHEMA}; name its file too`,
    );
  return { characterization: found.characterization, sections };
}

async function defaultFile(): Promise<string> {
  const { checkoutRoot } = await import('../../bench/run/root.ts');
  return join(checkoutRoot() ?? '.', '.bench', 'characterization.json');
}

function readInput(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const hint = 'outrigger characterize   measures, and writes .bench/characterization.json';
    if (code === 'ENOENT') throw new UsageError(`there is no ${file}`, hint);
    throw new UsageError(`${file} cannot be read: ${code === 'EISDIR' ? 'it is a folder' : (code ?? String(error))}`);
  }
}
