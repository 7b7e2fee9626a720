import type { StandardIssue } from './standard-schema.ts';

/** Why a filter module cannot be used; the message begins with `file:line:column` where that is known. */
export class FilterLoadError extends Error {
  override readonly name = 'FilterLoadError';
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** What is wrong, without the place. */
  readonly problem: string;
  /** Files that were read before it failed: a change of any of them may heal it. */
  dependencies: readonly string[] = [];

  constructor(problem: string, file: string, line?: number, column?: number, cause?: unknown) {
    super(`${place(file, line, column)}: ${problem}`, cause === undefined ? undefined : { cause });
    this.problem = problem;
    this.file = file;
    this.line = line;
    this.column = column;
  }
}

function place(file: string, line: number | undefined, column: number | undefined): string {
  if (line === undefined) return file;
  return column === undefined ? `${file}:${line}` : `${file}:${line}:${column}`;
}

/** Line and column (both from 1) of an offset in a text. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (let i = text.indexOf('\n'); i >= 0 && i < offset; i = text.indexOf('\n', i + 1)) {
    line++;
    start = i + 1;
  }
  return { line, column: offset - start + 1 };
}

/** The place that V8 and the type stripper print above a syntax error: `file:line`, some lines, and carets under the fault. */
export function syntaxErrorPlace(error: unknown): { line: number; column: number | undefined } | undefined {
  const stack = error instanceof Error ? error.stack : undefined;
  const head = stack === undefined ? null : /^[^\n]*:(\d+)\n/.exec(stack);
  if (head === null) return undefined;
  const caret = /\n( *)\^+ *\n/.exec(stack as string);
  return { line: Number(head[1]), column: caret === null ? undefined : (caret[1] as string).length + 1 };
}

/** `limits.max: must be a number`, joined by `; `, of a Standard Schema's issues. */
export function issuesText(issues: readonly StandardIssue[]): string {
  return issues
    .map((issue) => {
      const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
      return path === '' ? issue.message : `${path}: ${issue.message}`;
    })
    .join('; ');
}
