import type * as v from 'valibot';
import { nearest } from '../suggest.ts';
import {
  addProblem,
  type Dataset,
  describe,
  OwnSchema,
  Problem,
  type RunConfig,
  runPart,
  type Schema,
} from './schema.ts';

/** A rule about a whole message. */
export type Rule<T> =
  | { readonly kind: 'oneof'; readonly fields: readonly string[]; readonly required: boolean }
  | { readonly kind: 'unsupported'; readonly fields: readonly string[]; readonly reason: string }
  | { readonly kind: 'check'; readonly check: (value: T) => Problem | undefined };

/** The schema of a message keeps its fields, so that documentation can be generated from it. */
export interface MessageFacts {
  readonly entries: v.ObjectEntries;
  readonly unsupported: ReadonlyMap<string, string>;
}

/** The type of a message's fields after validation. */
export type MessageOf<E extends v.ObjectEntries> = v.InferOutput<v.ObjectSchema<E, undefined>>;

/**
 * A protobuf message in its JSON form: an object with exactly these fields, each in snake_case or camelCase, `null`
 * meaning unset. The output has the fields in snake_case, defaults filled in.
 */
export function message<const E extends v.ObjectEntries>(
  entries: E,
  ...rules: Rule<NoInfer<MessageOf<E>>>[]
): Schema<MessageOf<E>> & MessageFacts {
  return new MessageSchema(entries, rules as readonly Rule<never>[]) as unknown as Schema<MessageOf<E>> & MessageFacts;
}

class MessageSchema extends OwnSchema implements MessageFacts {
  readonly entries: v.ObjectEntries;
  private readonly rules: readonly Rule<never>[];
  /** Made when it is first asked for: most messages occur in few configurations, and most keys are in snake_case. */
  private fieldByCamelCase: ReadonlyMap<string, string> | undefined = undefined;

  constructor(entries: v.ObjectEntries, rules: readonly Rule<never>[]) {
    super('message', 'a map');
    this.entries = entries;
    this.rules = rules;
  }

  get unsupported(): ReadonlyMap<string, string> {
    const reasons = new Map<string, string>();
    for (const rule of this.rules) {
      if (rule.kind !== 'unsupported') continue;
      for (const field of rule.fields) {
        reasons.set(field, rule.reason);
        reasons.set(camelCase(field), rule.reason);
      }
    }
    return reasons;
  }

  protected override read(input: unknown, dataset: Dataset, config: RunConfig): void {
    const { entries } = this;
    const fields = Object.keys(entries);
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      addProblem(dataset, new Problem(`expected a map, got ${describe(input)}`, { allowed: listed(fields) }), input);
      return;
    }
    const output: Record<string, unknown> = {};
    const given = this.readGiven(input as Record<string, unknown>, dataset);
    // With an unknown key among them, the missing field is most likely that one: a second error would only distract.
    const context = { known: entries, mayMiss: dataset.issues !== undefined };
    for (const field of fields) this.readField(field, given.get(field), output, dataset, config);
    dataset.value = output;
    for (const rule of this.rules) applyRule(rule, output as never, given, dataset, context);
  }

  /** The key under which each field was written; reports keys that name no field. */
  private readGiven(raw: Record<string, unknown>, dataset: Dataset): Map<string, Given> {
    const given = new Map<string, Given>();
    for (const key of Object.keys(raw)) {
      const field = this.fieldOf(key);
      if (field === undefined) {
        const reason = this.unsupported.get(key);
        if (raw[key] === null && reason !== undefined) continue;
        addProblem(dataset, unknownField(key, Object.keys(this.entries), reason), raw[key]);
      } else if (given.has(field)) {
        addProblem(
          dataset,
          new Problem(`the field is given twice, also as "${given.get(field)!.key}"`, { path: [key] }),
          raw,
        );
      } else if (raw[key] !== null && raw[key] !== undefined) given.set(field, { key, value: raw[key] });
    }
    return given;
  }

  /** What a key in either form names. */
  private fieldOf(key: string): string | undefined {
    if (Object.hasOwn(this.entries, key)) return key;
    this.fieldByCamelCase ??= new Map(Object.keys(this.entries).map((field) => [camelCase(field), field]));
    return this.fieldByCamelCase.get(key);
  }

  private readField(
    field: string,
    given: Given | undefined,
    output: Record<string, unknown>,
    dataset: Dataset,
    config: RunConfig,
  ): void {
    const entry = this.entries[field] as v.GenericSchema & { default?: unknown };
    if (given !== undefined) output[field] = runPart(entry, given.key, given.value, dataset, config);
    else if (!isOptional(entry)) addProblem(dataset, new Problem('is required', { path: [field] }), undefined);
    else if (entry.default !== undefined) output[field] = runPart(entry, field, undefined, dataset, config);
  }
}

function unknownField(key: string, fields: readonly string[], reason: string | undefined): Problem {
  if (reason !== undefined) return new Problem(`is not supported: ${reason}`, { path: [key] });
  const isCamel = /[a-z][A-Z]/.test(key);
  const names = isCamel ? fields.map(camelCase) : fields;
  const suggestion = nearest(key, names);
  return new Problem('unknown field', { path: [key], suggestion, allowed: listed(names) });
}

interface Given {
  readonly key: string;
  readonly value: unknown;
}

interface RuleContext {
  /** The fields of the message. */
  readonly known: Readonly<Record<string, unknown>>;
  /** True when an error about the keys has been reported already. */
  readonly mayMiss: boolean;
}

function applyRule<T>(
  rule: Rule<T>,
  output: T,
  given: ReadonlyMap<string, Given>,
  dataset: Dataset,
  context: RuleContext,
): void {
  if (rule.kind === 'check') {
    const problem = dataset.typed ? rule.check(output) : undefined;
    if (problem !== undefined) addProblem(dataset, problem, output);
  } else if (rule.kind === 'oneof') {
    const problem = oneofProblem(rule.fields, rule.required, given, context);
    if (problem !== undefined) addProblem(dataset, problem, output);
  }
}

function oneofProblem(
  fields: readonly string[],
  required: boolean,
  given: ReadonlyMap<string, Given>,
  context: RuleContext,
): Problem | undefined {
  const present = fields.filter((field) => given.has(field));
  if (present.length === 1 || (present.length === 0 && (!required || context.mayMiss))) return undefined;
  const names = fields.filter((field) => Object.hasOwn(context.known, field)).join(', ');
  if (present.length > 1) {
    const { key } = given.get(present[1]!)!;
    const allowed = `${required ? 'exactly' : 'at most'} one of ${names}`;
    const text = `cannot be given together with "${given.get(present[0]!)!.key}"`;
    return new Problem(text, { path: [key], allowed });
  }
  return new Problem(names.includes(',') ? `one of ${names} is required` : `${names} is required`);
}

/** At most one of these fields may be given; exactly one when `required`. */
export function oneof(fields: readonly string[], options: { required?: boolean } = {}): Rule<unknown> {
  return { kind: 'oneof', fields, required: options.required ?? false };
}

/** Fields that Envoy has and this proxy refuses, with the reason or the way out. */
export function unsupported(reason: string, ...fields: string[]): Rule<unknown> {
  return { kind: 'unsupported', fields, reason };
}

/** A condition on the whole message, tested once its fields are valid. */
export function check<T>(test: (value: T) => Problem | undefined): Rule<T> {
  return { kind: 'check', check: test };
}

function isOptional(schema: { type: string }): boolean {
  return schema.type === 'optional' || schema.type === 'exact_optional' || schema.type === 'nullish';
}

/** The JSON name that protobuf gives a field: `http2_protocol_options` → `http2ProtocolOptions`. */
export function camelCase(field: string): string {
  if (!field.includes('_')) return field;
  return field.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'no fields';
  return names.length <= 14 ? names.join(', ') : `${names.slice(0, 12).join(', ')}, … (${names.length} fields)`;
}
