import type * as v from 'valibot';
import {
  jsonValue,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  type Schema,
  struct,
  uint32,
} from '../schema/building-blocks.ts';
import { addProblem, defineSchema, describe, runPart, runSchema } from '../schema/schema.ts';
import { nearest } from '../suggest.ts';
import { AccessLogs } from './access-log.ts';
import * as http from './http-filters.ts';
import { Jwt, jwt } from './jwt.ts';
import { NetworkRbac, networkRbac, Rbac, rbac } from './rbac.ts';
import { either, isRecord, span } from './units.ts';

/** What a filter entry of the short form becomes. */
interface FilterKind {
  readonly layer: 'http' | 'network';
  readonly schema: v.GenericSchema;
  /** Envoy's name, and the full protobuf name of the configuration. */
  readonly name: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own configuration type, paired with its schema here
  readonly expand: (config: any) => Record<string, unknown>;
}

function kind<S extends v.GenericSchema>(
  layer: 'http' | 'network',
  schema: S,
  name: string,
  type: string,
  expand: (config: v.InferOutput<S>) => Record<string, unknown>,
): FilterKind {
  const prefix = `envoy.extensions.filters.${layer}`;
  return { layer, schema, name: `envoy.filters.${layer}.${name}`, type: `${prefix}.${name}.v3.${type}`, expand };
}

const ConnectionLimit = either(
  message({ max: uint32({ min: 1 }), delay: optional(span()) }),
  uint32({ min: 1 }),
  (max) => ({ max }),
  isRecord,
);

/** The filters by the key that names them. */
const KINDS: Readonly<Record<string, FilterKind>> = {
  rbac: kind('http', Rbac, 'rbac', 'RBAC', rbac),
  rate_limit: kind('http', http.RateLimit, 'local_ratelimit', 'LocalRateLimit', http.rateLimit),
  jwt: kind('http', Jwt, 'jwt_authn', 'JwtAuthentication', jwt),
  ip_tag: kind('http', http.IpTag, 'ip_tagging', 'IPTagging', http.ipTag),
  header_read: kind('http', http.HeaderRead, 'header_to_metadata', 'Config', http.headerRead),
  header_mutation: kind('http', http.HeaderMutation, 'header_mutation', 'HeaderMutation', http.headerMutation),
  fault: kind('http', http.Fault, 'fault', 'HTTPFault', http.fault),
  buffer: kind('http', http.Buffer, 'buffer', 'Buffer', http.buffer),
  cors: kind('http', http.Cors, 'cors', 'Cors', () => ({})),
  grpc_stats: kind('http', http.GrpcStats, 'grpc_stats', 'FilterConfig', http.grpcStats),
  grpc_web: kind('http', message({}), 'grpc_web', 'GrpcWeb', () => ({})),
  health_check: kind('http', http.HealthCheck, 'health_check', 'HealthCheck', http.healthCheck),
  network_rbac: kind('network', NetworkRbac, 'rbac', 'RBAC', networkRbac),
  connection_limit: kind('network', ConnectionLimit, 'connection_limit', 'ConnectionLimit', (config) => ({
    stat_prefix: 'connection_limit',
    max_connections: config.max,
    ...(config.delay === undefined ? {} : { delay: config.delay }),
  })),
};

/** A custom filter: the module, and what it gets. */
const Module = message({ module: nonEmptyString(), name: optional(nonEmptyString()), config: optional(struct(), {}) });
const NetworkModule = message({
  network_module: nonEmptyString(),
  name: optional(nonEmptyString()),
  config: optional(struct(), {}),
});
/** A filter in canonical form, for what the short form has no words for. */
const CanonicalFilter = message({ name: nonEmptyString(), typed_config: struct(), disabled: optional(jsonValue()) });

/** One entry of `filters`. */
export interface FilterEntry {
  /** The key that names the kind, or `module`, `network_module`, `canonical`. */
  readonly kind: string;
  readonly value: unknown;
}

const ENTRY_KEYS = [...Object.keys(KINDS), 'access_log', 'module', 'network_module'];

/** `- rate_limit: {…}`, `- module: ./mine.ts`, or a filter in canonical form. */
const FilterEntrySchema: Schema<FilterEntry> = defineSchema('filter', 'a filter', (input, dataset, config) => {
  if (!isRecord(input)) {
    const allowed = ENTRY_KEYS.join(', ');
    const suggestion = typeof input === 'string' && KINDS[input] !== undefined ? `${input}: …` : undefined;
    addProblem(
      dataset,
      new Problem(`expected a map with the filter's name, got ${describe(input)}`, { allowed, suggestion }),
      input,
    );
    return;
  }
  const raw = input as Record<string, unknown>;
  const whole = (schema: v.GenericSchema, name: string) => {
    const part = runSchema(schema, input, config);
    dataset.issues = part.issues;
    dataset.typed = part.typed;
    dataset.value = { kind: name, value: part.value };
  };
  if ('module' in raw) return whole(Module, 'module');
  if ('network_module' in raw) return whole(NetworkModule, 'network_module');
  if ('typed_config' in raw) return whole(CanonicalFilter, 'canonical');
  const keys = Object.keys(raw);
  for (const key of keys) {
    if (key === 'access_log' || Object.hasOwn(KINDS, key)) continue;
    const problem = { path: [key], allowed: ENTRY_KEYS.join(', '), suggestion: nearest(key, ENTRY_KEYS) };
    addProblem(dataset, new Problem('unknown filter', problem), input);
  }
  if (keys.length !== 1) {
    addProblem(dataset, new Problem('an entry names exactly one filter; start each with its own "- "'), input);
  }
  const [name] = keys;
  if (name === undefined || dataset.issues !== undefined) return;
  const schema = name === 'access_log' ? AccessLogs : KINDS[name]!.schema;
  dataset.value = { kind: name, value: runPart(schema, name, raw[name] ?? {}, dataset, config) };
});

export const Filters = list(FilterEntrySchema);

/** A filter of the canonical form with the layer that it belongs to. */
export interface ExpandedFilter {
  readonly layer: 'http' | 'network';
  readonly filter: { name: string; typed_config: Record<string, unknown> };
}

/** The canonical form of an entry other than `access_log`. */
export function expandFilter(entry: FilterEntry): ExpandedFilter {
  if (entry.kind === 'canonical') {
    const filter = entry.value as ExpandedFilter['filter'];
    const type = String(filter.typed_config['@type']);
    return { layer: /\.network\.|NetworkFilterModule$/.test(type) ? 'network' : 'http', filter };
  }
  if (entry.kind === 'module' || entry.kind === 'network_module') {
    const value = entry.value as { module?: string; network_module?: string; name?: string; config: object };
    const module = value.module ?? value.network_module ?? '';
    const type = entry.kind === 'module' ? 'HttpFilterModule' : 'NetworkFilterModule';
    const typed_config = { '@type': `type.googleapis.com/outrigger.v1.${type}`, module, config: value.config };
    return {
      layer: entry.kind === 'module' ? 'http' : 'network',
      filter: { name: value.name ?? nameOf(module), typed_config },
    };
  }
  const found = KINDS[entry.kind]!;
  const typed_config = { '@type': `type.googleapis.com/${found.type}`, ...found.expand(entry.value) };
  return { layer: found.layer, filter: { name: found.name, typed_config } };
}

/** `./filters/stamp.ts` is called `stamp`. */
function nameOf(module: string): string {
  return module.replace(/^.*\//, '').replace(/\.[cm]?[jt]s$/, '');
}
