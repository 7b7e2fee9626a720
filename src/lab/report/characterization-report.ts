import { type AdditiveModel, additiveModel } from '../characterize/additive-model.ts';
import type { Characterization } from '../characterize/characterization.ts';
import { findingsTable } from '../characterize/findings.ts';
import { cells, type ReportDocument, type Section, type Table } from './document.ts';
import { besideEnvoy } from './sections/beside-envoy.ts';
import { componentSection } from './sections/components.ts';
import { filterSection } from './sections/filters.ts';
import { sizeSection } from './sections/sizes.ts';
import { summarize } from './summary.ts';
import { labelOf } from './view.ts';

/**
 * The report of one characterization.
 *
 * @param beside sections made of other files, which come after its own
 */
export function characterizationReport(
  c: Characterization,
  { title = 'Where a sidecar’s time goes', beside = [] }: { title?: string; beside?: readonly Section[] } = {},
): ReportDocument {
  const model = additiveModel(c);
  return {
    title,
    date: c.startedAt,
    summary: summarize(c, model),
    facts: facts(c),
    warnings: c.warnings,
    sections: [
      besideEnvoy(c),
      componentSection(c),
      filterSection(c, model),
      sizeSection(c),
      paperSection(c, model),
      ...beside,
      commandSection(c),
    ].filter((section) => section !== undefined),
  };
}

function facts({ machine, cores, peers, rounds, durationS, seconds, command }: Characterization): string[] {
  const placed = cores.pinned
    ? `proxy on core ${cores.proxy.join(', ')}, load and backend on ${cores.load.join(', ')}`
    : 'nothing is pinned to a core';
  return [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}; ${placed}`,
    ...peers.map(({ name, version, description }) =>
      [name, version, description].filter((text) => text !== '').join(', '),
    ),
    `${rounds} × ${durationS} s of each load; took ${Math.round(seconds / 60)} min`,
    `Reproduce all of it: ${command}`,
    'The paper: Sahu et al., “Understanding Sidecars in Cloud Orchestration”, SESAME 2025',
  ];
}

/** The paper's sentences beside what was found here; undefined where the run has figures for none. */
function paperSection(c: Characterization, model: AdditiveModel): Section | undefined {
  const table = findingsTable(c, model);
  if (table === undefined) return undefined;
  return {
    id: 'paper',
    title: 'What the paper says, and what was found here',
    paragraphs: [
      'The paper measured Envoy under Istio on another machine: shares and ratios can be compared, times cannot.',
    ],
    tables: [
      {
        title: 'Statement by statement',
        columns: table.columns,
        rows: table.rows.map((row) => cells(...row)),
        command: c.command,
      },
    ],
    figures: [],
  };
}

function commandSection(c: Characterization): Section {
  const table: Table = {
    title: 'What each configuration is, and what measures it alone',
    columns: ['configuration', 'name', 'in the paper', 'base', 'parts', 'load', 'notes', 'command'],
    rows: c.configurations.map((one) =>
      cells(
        labelOf(one),
        one.name,
        one.inPaper ? 'yes' : 'no',
        one.base ?? '–',
        one.parts.length === 0 ? '–' : one.parts.join(' + '),
        one.open === undefined ? one.load : '–',
        [one.open === undefined ? undefined : `open: ${one.open}`, one.note]
          .filter((text) => text !== undefined)
          .join('; '),
        one.command,
      ),
    ),
  };
  return { id: 'configurations', title: 'Configurations and commands', paragraphs: [], tables: [table], figures: [] };
}
