import type { StandardResult, StandardSchemaV1 } from '../../filter/standard-schema.ts';
import { nearest } from '../suggest.ts';
import type { TypedConfig } from '../typed-config.ts';
import {
  addProblem,
  type Dataset,
  defineSchema,
  describe,
  Problem,
  type RunConfig,
  runPart,
  runSchema,
  type Schema,
} from './schema.ts';

export interface ListOptions {
  min?: number;
  max?: number;
}

/** A repeated field. */
export function list<Item>(item: Schema<Item>, options: ListOptions = {}): Schema<Item[]> {
  const schema = defineSchema<Item[]>('list', 'a list', (input, dataset, config) => {
    if (!Array.isArray(input)) {
      addProblem(dataset, new Problem(`expected a list, got ${describe(input)}`), input);
      return;
    }
    if (options.min !== undefined && input.length < options.min) {
      addProblem(dataset, new Problem(`needs at least ${options.min} item${options.min === 1 ? '' : 's'}`), input);
    }
    if (options.max !== undefined && input.length > options.max) {
      addProblem(dataset, new Problem(`has ${input.length} items`, { allowed: `at most ${options.max}` }), input);
    }
    dataset.value = input.map((value, index) => runPart(item, index, value, dataset, config));
  });
  return Object.assign(schema, { item, limits: options });
}

/** A map field: keys are data and kept as written. */
export function mapOf<Value>(value: Schema<Value>): Schema<Record<string, Value>> {
  const schema = defineSchema<Record<string, Value>>('map', 'a map', (input, dataset, config) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      addProblem(dataset, new Problem(`expected a map, got ${describe(input)}`), input);
      return;
    }
    const entries = Object.entries(input).map(([key, item]) => [key, runPart(value, key, item, dataset, config)]);
    dataset.value = Object.fromEntries(entries);
  });
  return Object.assign(schema, { item: value });
}

/** What an extension point takes, by full protobuf name. */
export interface ExtensionResolver {
  find(category: ExtensionCategory, type: string): StandardSchemaV1 | undefined;
  names(category: ExtensionCategory): readonly string[];
}

/** The extension points of the configuration. */
export type ExtensionCategory =
  | 'network_filter'
  | 'http_filter'
  | 'route_filter_config'
  | 'access_logger'
  | 'listener_filter'
  | 'downstream_transport_socket'
  | 'upstream_transport_socket'
  | 'upstream_options'
  | 'header_formatter'
  | 'request_id'
  | 'retry_host_predicate'
  | 'retry_priority'
  | 'tracer'
  | 'resource_detector'
  | 'tracing_sampler'
  | 'certificate_validator'
  | 'resource_monitor';

/** The configuration of a validation run: valibot hands it down to every schema. */
export interface LoadRunConfig extends RunConfig {
  readonly extensions?: ExtensionResolver;
}

/**
 * google.protobuf.Any at an extension point: `@type` chooses the schema. The resolver comes with the run's
 * configuration; without one (a filter's own unit test) the fields are taken as they are.
 */
export function anyConfig(category: ExtensionCategory): Schema<TypedConfig> {
  const schema = defineSchema<TypedConfig>('any', 'a map with @type', (input, dataset, config) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      addProblem(dataset, new Problem(`expected a map with "@type", got ${describe(input)}`), input);
      return;
    }
    const { '@type': url, ...fields } = input as Record<string, unknown>;
    const extensions = (config as LoadRunConfig).extensions;
    const type = readTypeUrl(url, extensions?.names(category) ?? [], dataset);
    if (type === undefined) return;
    if (extensions === undefined) {
      dataset.value = { type, value: fields };
      return;
    }
    const found = extensions.find(category, type);
    if (found === undefined) addProblem(dataset, unknownType(type, extensions.names(category)), url);
    else dataset.value = { type, value: runStandard(found, fields, dataset, config) };
  });
  return Object.assign(schema, { category });
}

function readTypeUrl(url: unknown, known: readonly string[], dataset: Dataset): string | undefined {
  if (url === undefined || url === null) {
    addProblem(
      dataset,
      new Problem('"@type" is required', { allowed: 'type.googleapis.com/<full protobuf name>' }),
      url,
    );
    return undefined;
  }
  const slash = typeof url === 'string' ? url.lastIndexOf('/') : -1;
  if (typeof url !== 'string' || slash <= 0 || slash === url.length - 1) {
    const nearby = typeof url === 'string' ? nearest(url, known) : undefined;
    const suggestion = nearby === undefined ? undefined : `type.googleapis.com/${nearby}`;
    const problem = { path: ['@type'], allowed: 'type.googleapis.com/<full protobuf name>', suggestion };
    addProblem(dataset, new Problem(`${describe(url)} is not a type URL`, problem), url);
    return undefined;
  }
  return url.slice(slash + 1);
}

/** A type that is nearly right: the same message in another package, or a slip in its name. */
function unknownType(type: string, known: readonly string[]): Problem {
  const messageName = (name: string) => name.slice(name.lastIndexOf('.') + 1);
  const byMessage = new Map(known.map((name) => [messageName(name), name]));
  const near = byMessage.get(messageName(type)) ?? byMessage.get(nearest(messageName(type), byMessage.keys()) ?? '');
  return new Problem(`type "${type}" is not known here`, {
    path: ['@type'],
    suggestion: near,
    allowed: known.join(', '),
  });
}

/** Runs any Standard Schema; ours get the run's configuration, so that extension points below them resolve too. */
function runStandard(schema: StandardSchemaV1, value: unknown, dataset: Dataset, config: RunConfig): unknown {
  if ('~run' in schema) {
    const part = runSchema(schema as unknown as Schema<unknown>, value, config);
    if (part.issues !== undefined) {
      if (dataset.issues === undefined) dataset.issues = part.issues;
      else dataset.issues.push(...part.issues);
    }
    if (!part.typed) dataset.typed = false;
    return part.value;
  }
  const result = schema['~standard'].validate(value) as StandardResult<unknown> | Promise<unknown>;
  if (result instanceof Promise) {
    addProblem(dataset, new Problem('the filter validates asynchronously, which is not possible here'), value);
    return undefined;
  }
  if (result.issues === undefined) return result.value;
  for (const issue of result.issues) {
    const path = (issue.path ?? []).map((step) => {
      const key = typeof step === 'object' ? step.key : step;
      return typeof key === 'symbol' ? String(key) : key;
    });
    addProblem(dataset, new Problem(issue.message, { path }), value);
  }
  return undefined;
}
