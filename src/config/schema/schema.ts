import * as v from 'valibot';

/** A valibot schema that reads unknown input; composes with all of valibot and is a Standard Schema. */
export type Schema<Output> = v.GenericSchema<unknown, Output>;

/** What is wrong with a value, what would be right, and what was probably meant. */
export class Problem {
  readonly message: string;
  readonly allowed: string | undefined;
  readonly suggestion: string | undefined;
  /** Keys from the value in question down to the culprit. */
  readonly path: readonly (string | number)[];

  constructor(
    message: string,
    details: {
      allowed?: string | undefined;
      suggestion?: string | undefined;
      path?: readonly (string | number)[];
    } = {},
  ) {
    this.message = message;
    this.allowed = details.allowed;
    this.suggestion = details.suggestion;
    this.path = details.path ?? [];
  }
}

/** valibot's running state of one value: what was read, and the issues found. */
export interface Dataset {
  typed: boolean;
  value: unknown;
  issues: v.BaseIssue<unknown>[] | undefined;
}

export type RunConfig = v.Config<v.BaseIssue<unknown>>;

/** Makes a schema from a function that reads the raw value into `dataset.value` and adds issues. */
export function defineSchema<Output>(
  type: string,
  expects: string,
  run: (input: unknown, dataset: Dataset, config: RunConfig) => void,
): Schema<Output> {
  const schema = {
    kind: 'schema',
    type,
    reference: defineSchema,
    expects,
    async: false,
    get '~standard'() {
      return {
        version: 1,
        vendor: 'valibot',
        validate: (value: unknown) => schema['~run']({ typed: false, value, issues: undefined }, v.getGlobalConfig()),
      };
    },
    '~run'(dataset: Dataset, config: RunConfig): Dataset {
      const input = dataset.value;
      dataset.typed = true;
      run(input, dataset, config);
      return dataset;
    },
  };
  return schema as unknown as Schema<Output>;
}

/** Makes a schema for one value without parts. */
export function scalar<Output>(
  type: string,
  expects: string,
  read: (value: unknown) => Output | Problem,
): Schema<Output> {
  return defineSchema(type, expects, (input, dataset) => {
    const result = read(input);
    if (result instanceof Problem) addProblem(dataset, result, input);
    else dataset.value = result;
  });
}

/** Records a problem at the dataset's value, or below it at the problem's path. */
export function addProblem(dataset: Dataset, problem: Problem, input: unknown): void {
  dataset.typed = false;
  const issue = {
    kind: 'schema',
    type: 'config',
    input,
    expected: problem.allowed ?? null,
    received: '',
    message: problem.message,
    requirement: problem,
    path: problem.path.length === 0 ? undefined : problem.path.map((key) => pathItem(key, input)),
  } as unknown as v.BaseIssue<unknown>;
  if (dataset.issues === undefined) dataset.issues = [issue];
  else dataset.issues.push(issue);
}

/** Runs a schema with a configuration of our own, which valibot's `safeParse` would not hand down. */
export function runSchema(schema: v.GenericSchema, value: unknown, config: RunConfig): Dataset {
  return schema['~run']({ value } as never, config) as unknown as Dataset;
}

/** Reads a part of a value with its own schema; its issues move up with the key in front. */
export function runPart(
  schema: v.GenericSchema,
  key: string | number,
  value: unknown,
  parent: Dataset,
  config: RunConfig,
): unknown {
  const part = runSchema(schema, value, config);
  if (part.issues !== undefined) {
    const item = pathItem(key, value);
    for (const issue of part.issues) {
      const held = issue as { path?: unknown[] | undefined };
      if (held.path === undefined) held.path = [item];
      else held.path.unshift(item);
      if (parent.issues === undefined) parent.issues = [issue];
      else parent.issues.push(issue);
    }
  }
  if (!part.typed) parent.typed = false;
  return part.value;
}

function pathItem(key: string | number, value: unknown): object {
  return { type: typeof key === 'number' ? 'array' : 'object', origin: 'value', input: undefined, key, value };
}

/** Names a raw value for an error message: `a string "x"`, `a list`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string')
    return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)}`;
  if (typeof value === 'number' || typeof value === 'bigint') return `the number ${value}`;
  if (typeof value === 'boolean') return `the boolean ${value}`;
  return 'a map';
}
