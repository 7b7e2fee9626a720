import type { Chart } from './chart/drawing.ts';

/** A report before it has a form: the page, the Markdown and the pictures are made of the same one. */
export interface ReportDocument {
  readonly title: string;
  /** Of the runs, ISO. */
  readonly date: string;
  readonly summary: readonly Statement[];
  /** What it was measured on, with and how. */
  readonly facts: readonly string[];
  readonly warnings: readonly string[];
  readonly sections: readonly Section[];
}

/** A sentence of the summary. What was missed is said as plainly as what was reached. */
export interface Statement {
  readonly verdict: 'reached' | 'partly' | 'missed' | 'open' | 'finding';
  readonly text: string;
}

export interface Section {
  /** Unique, for links. */
  readonly id: string;
  readonly title: string;
  readonly paragraphs: readonly string[];
  readonly figures: readonly Figure[];
  /** Tables that stand for themselves, before the figures. */
  readonly tables: readonly Table[];
}

export interface Figure {
  /** Unique; the name of its picture's file. */
  readonly id: string;
  readonly title: string;
  readonly caption: string;
  /** Drawn in order, below each other. */
  readonly charts: readonly Chart[];
  /** Every number of the picture. */
  readonly tables: readonly Table[];
  /** Makes the figure's data again. */
  readonly command: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  /** The first cell names its row. */
  readonly rows: readonly (readonly Cell[])[];
  /** Makes its data again, where no figure above says so. */
  readonly command?: string;
}

export interface Cell {
  readonly text: string;
  /** Shown when pointed at; nothing that is not elsewhere too. */
  readonly hint?: string;
}

export function cells(...texts: readonly string[]): Cell[] {
  return texts.map((text) => ({ text }));
}
