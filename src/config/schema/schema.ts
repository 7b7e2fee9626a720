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

/** Reads the raw value into `dataset.value` and adds issues. */
type Run = (input: unknown, dataset: Dataset, config: RunConfig) => void;

/**
 * What valibot and Standard Schema ask of a schema. Methods and not closures: there are 1,400 schemas, which
 * every start has to make or to find in its snapshot.
 */
export class OwnSchema {
  readonly kind = 'schema';
  readonly type: string;
  readonly reference = OwnSchema;
  readonly expects: string;
  readonly async = false;
  protected readonly run: Run | undefined;

  constructor(type: string, expects: string, run?: Run) {
    this.type = type;
    this.expects = expects;
    this.run = run;
  }

  get '~standard'(): object {
    const validate = (value: unknown): Dataset =>
      this['~run']({ typed: false, value, issues: undefined }, v.getGlobalConfig());
    return { version: 1, vendor: 'valibot', validate };
  }

  '~run'(dataset: Dataset, config: RunConfig): Dataset {
    const input = dataset.value;
    dataset.typed = true;
    this.read(input, dataset, config);
    return dataset;
  }

  protected read(input: unknown, dataset: Dataset, config: RunConfig): void {
    this.run?.(input, dataset, config);
  }
}

/** Makes a schema from a function that reads the raw value. */
export function defineSchema<Output>(type: string, expects: string, run: Run): Schema<Output> {
  return new OwnSchema(type, expects, run) as unknown as Schema<Output>;
}

class ScalarSchema extends OwnSchema {
  /** Bounds of the value as the schema's maker has them, for documentation. */
  readonly limits: object | undefined;
  private readonly readValue: (value: unknown) => unknown;

  constructor(type: string, expects: string, readValue: (value: unknown) => unknown, limits: object | undefined) {
    super(type, expects);
    this.readValue = readValue;
    this.limits = limits;
  }

  protected override read(input: unknown, dataset: Dataset): void {
    const result = this.readValue(input);
    if (result instanceof Problem) addProblem(dataset, result, input);
    else dataset.value = result;
  }
}

/** Makes a schema for one value without parts. */
export function scalar<Output>(
  type: string,
  expects: string,
  read: (value: unknown) => Output | Problem,
  limits?: object,
): Schema<Output> {
  return new ScalarSchema(type, expects, read, limits) as unknown as Schema<Output>;
}

class OptionalSchema extends OwnSchema {
  readonly wrapped: v.GenericSchema;
  readonly default: unknown;

  constructor(wrapped: v.GenericSchema, fallback: unknown) {
    super('optional', wrapped.expects);
    this.wrapped = wrapped;
    this.default = fallback;
  }

  override '~run'(dataset: Dataset, config: RunConfig): Dataset {
    if (dataset.value === undefined) {
      if (this.default !== undefined) dataset.value = v.getDefault(this as never);
      if (dataset.value === undefined) {
        dataset.typed = true;
        return dataset;
      }
    }
    return this.wrapped['~run'](dataset as never, config) as unknown as Dataset;
  }
}

/** A field that may be absent; the default is written in input form (`'15s'`, `{}`) and read by the schema itself. */
export const optional = ((wrapped: v.GenericSchema, fallback?: unknown) =>
  new OptionalSchema(wrapped, fallback)) as unknown as typeof v.optional;

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
