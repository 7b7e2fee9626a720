/** One thing that is wrong in a configuration file. Line and column count from 1. */
export interface ConfigProblem {
  readonly line: number;
  readonly column: number;
  /** Keys as the file has them: `static_resources.listeners[0].name`; '' for the whole file. */
  readonly path: string;
  readonly message: string;
  readonly allowed?: string | undefined;
  readonly suggestion?: string | undefined;
}

/** A configuration file that cannot be used, with everything that is wrong in it. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    super(formatProblems(file, problems));
    this.file = file;
    this.problems = problems;
  }
}

/** One line per problem, for people: `file:line:col  path  what is wrong; allowed: …; did you mean "…"?` */
export function formatProblems(file: string, problems: readonly ConfigProblem[]): string {
  return problems.map((problem) => formatProblem(file, problem)).join('\n');
}

function formatProblem(file: string, problem: ConfigProblem): string {
  const place = `${file}:${problem.line}:${problem.column}`;
  const parts = [problem.message];
  if (problem.allowed !== undefined) parts.push(`allowed: ${problem.allowed}`);
  if (problem.suggestion !== undefined) parts.push(`did you mean ${problem.suggestion}?`);
  const text = parts.join('; ');
  return problem.path === '' ? `${place}  ${text}` : `${place}  ${problem.path}  ${text}`;
}

/** The same for programs (`outrigger check --json`). */
export function problemsAsJson(file: string, problems: readonly ConfigProblem[]): string {
  return JSON.stringify({ file, problems }, undefined, 2);
}

/** Keys from the root of the file. */
export type Path = readonly (string | number)[];

/** `static_resources.listeners[0].name`; keys that are not plain names are quoted: `["a.b"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (!/^[\w@-]+$/.test(key)) text += `[${JSON.stringify(key)}]`;
    else text += text === '' ? key : `.${key}`;
  }
  return text;
}
