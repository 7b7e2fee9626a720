import * as v from 'valibot';
import { CHARACTERIZATION_SCHEMA, type Characterization } from '../characterize/characterization.ts';

/** A file that is not what it should be; says which, what was expected and what was found. */
export class ReportInputError extends Error {
  override readonly name = 'ReportInputError';
}

/** JSON knows no NaN and no infinity and has null in their place: the report shows such figures as `–`. */
const number = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? Number.NaN),
);
const figure = v.object({ median: number, min: number, max: number, values: v.array(number) });
const texts = v.array(v.string());
const numbersByName = v.record(v.string(), number);

const level = v.object({
  level: number,
  loop: v.exactOptional(v.picklist(['open', 'closed'])),
  rate: number,
  cpuPercent: figure,
  cpuMicros: figure,
  achievedRate: figure,
  p50: figure,
  p90: figure,
  p99: figure,
  errors: number,
  unanswered: number,
  generatorLimits: texts,
});

const part = v.object({
  part: v.string(),
  title: v.string(),
  table2: v.nullable(v.string()),
  meshInsight: v.nullable(v.string()),
  basis: v.picklist(['symbols', 'by difference']),
  share: number,
  usPerRequest: number,
});

const breakdown = v.object({
  samples: number,
  cpuMicros: number,
  parts: v.array(part),
  counters: v.object({
    kind: v.picklist(['hardware', 'software']),
    note: v.string(),
    perRequest: numbersByName,
    derived: numbersByName,
  }),
  notes: texts,
});

const peer = v.object({
  peer: v.string(),
  error: v.exactOptional(v.string()),
  requestsPerSecond: v.exactOptional(figure),
  cpuMicros: v.exactOptional(figure),
  cpuPercent: v.exactOptional(number),
  errors: number,
  levels: v.array(level),
  breakdown: v.exactOptional(breakdown),
});

const characterization = v.object({
  schema: v.literal(CHARACTERIZATION_SCHEMA),
  startedAt: v.string(),
  seconds: number,
  command: v.string(),
  machine: v.object({ cpu: v.string(), cores: number, kernel: v.string(), node: v.string() }),
  cores: v.object({ proxy: v.array(number), load: v.array(number), pinned: v.boolean() }),
  rounds: number,
  durationS: number,
  peers: v.array(v.object({ name: v.string(), version: v.string(), description: v.string() })),
  configurations: v.array(
    v.object({
      name: v.string(),
      title: v.string(),
      inPaper: v.boolean(),
      protocol: v.picklist(['tcp', 'http']),
      scenario: v.exactOptional(v.string()),
      note: v.exactOptional(v.string()),
      open: v.exactOptional(v.string()),
      base: v.exactOptional(v.string()),
      parts: texts,
      command: v.string(),
      load: v.string(),
      peers: v.array(peer),
    }),
  ),
  sizes: v.array(v.object({ configuration: v.string(), bytes: number, command: v.string(), peers: v.array(peer) })),
  warnings: texts,
});

/** The JSON of a file, and which of our forms it says it has. @throws ReportInputError */
export function parseReportInput(file: string, text: string): { schema: string; data: unknown } {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    const isCut = text.trim() !== '' && /end of JSON|unterminated/i.test((error as Error).message);
    const what =
      text.trim() === '' ? 'is empty' : isCut ? `ends in the middle (${text.length} characters)` : 'is no JSON';
    throw new ReportInputError(
      `${file} ${what}: expected the JSON of \`outrigger characterize\` or \`outrigger bench --json\` (${(error as Error).message})`,
    );
  }
  const schema = typeof data === 'object' && data !== null ? (data as { schema?: unknown }).schema : undefined;
  if (typeof schema !== 'string')
    throw new ReportInputError(
      `${file}: expected an object with "schema": "${CHARACTERIZATION_SCHEMA}", found ${kindOf(data)}`,
    );
  return { schema, data };
}

/** Checks a parsed file against the form. @throws ReportInputError naming the first few places that differ */
export function checkCharacterization(file: string, data: unknown): Characterization {
  return checkForm(file, CHARACTERIZATION_SCHEMA, characterization, data);
}

const MOST_ISSUES = 5;

/** Checks against any form of ours. @throws ReportInputError */
export function checkForm<const S extends v.GenericSchema>(
  file: string,
  schema: string,
  form: S,
  data: unknown,
): v.InferOutput<S> {
  const result = v.safeParse(form, data);
  if (result.success) return result.output;
  const lines = result.issues.slice(0, MOST_ISSUES).map((issue) => {
    const path = v.getDotPath(issue) ?? '';
    return `  ${path === '' ? 'the document' : path}: expected ${issue.expected ?? 'something else'}, found ${issue.received}`;
  });
  const more = result.issues.length - lines.length;
  if (more > 0) lines.push(`  and ${more} more`);
  throw new ReportInputError(`${file} is no ${schema}:\n${lines.join('\n')}`);
}

function kindOf(data: unknown): string {
  if (data === null) return 'null';
  if (Array.isArray(data)) return 'an array';
  if (typeof data !== 'object') return `a ${typeof data}`;
  if ('schema' in data) return 'an object whose schema is no text';
  const keys = Object.keys(data).slice(0, 4).join(', ');
  return `an object without it${keys === '' ? '' : ` (${keys.slice(0, 80)} …)`}`;
}
