import type * as v from 'valibot';
import {
  bool,
  double,
  enumOf,
  list,
  mapOf,
  message,
  nonEmptyString,
  optional,
  string,
  uint32,
} from '../../src/config/schema/building-blocks.ts';
import { jsonValue, struct } from '../../src/config/schema/scalars.ts';
import {
  addProblem,
  defineSchema,
  describe,
  Problem,
  runSchema,
  type Schema,
  scalar,
} from '../../src/config/schema/schema.ts';
import { either, oneOrMany, size } from '../../src/config/sidecar/units.ts';
import { POLICY_KINDS } from '../index.ts';
import { Labels, NamespaceName } from '../kubernetes-names.ts';

/** More than these are refused before anything is planned: the program would not fit into memory. */
export const MAX_SERVICES = 20_000;
export const MAX_CALLS = 200_000;
export const MAX_POLICIES = 20_000;

/** Kinds of the graph's policies: the nine, and whatever else a sidecar's filters do. */
export const GRAPH_KINDS: readonly string[] = [...POLICY_KINDS.map(({ kind }) => kind), 'Custom'];

const NAME = string({
  pattern: /^[a-z0-9]([-a-z0-9._]*[a-z0-9])?$/,
  // Files are called by them.
  maxLength: 200,
  allowed: 'lower case letters, digits, - . and _',
});

/** One name or several. */
const names = (): Schema<string[]> => oneOrMany(nonEmptyString(), list(nonEmptyString(), { min: 1 }));

/** Beyond this, sums and products of quantities would leave what a solver's arithmetic tells apart. */
const MAX_QUANTITY = 1e9;

/** A number that is there: neither NaN nor infinite, nor beyond anything that somebody could measure. */
export function quantity(options: { above?: number } = {}): Schema<number> {
  const inner = double({ min: 0, ...options });
  return defineSchema<number>('quantity', 'a number', (input, dataset, config) => {
    const { issues, typed, value } = runSchema(inner, input, config);
    Object.assign(dataset, { issues, typed, value });
    if (issues === undefined && !Number.isFinite(value))
      addProblem(dataset, new Problem(`expected a finite number, got ${describe(input)}`), input);
    else if (issues === undefined && (value as number) > MAX_QUANTITY)
      addProblem(
        dataset,
        new Problem(`${describe(input)} is out of range`, { allowed: `at most ${MAX_QUANTITY}` }),
        input,
      );
  });
}

const Address = scalar('address', 'an address', (value) => {
  const text = typeof value === 'number' ? `127.0.0.1:${value}` : value;
  const port = typeof text === 'string' ? /^(?:\[[^\]]+\]|[^:\s]+):(\d{1,5})$/.exec(text)?.[1] : undefined;
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return text;
  return new Problem(`${describe(value)} is not an address`, { allowed: 'host:port, or a port of 127.0.0.1' });
}) as Schema<string>;

const SidecarRoom = message({ cpu: optional(quantity({ above: 0 })), memory: optional(size()) });

/** `false`, or what a sidecar may use. */
const SidecarEntry = either(
  SidecarRoom,
  bool(),
  (allowed) => ({ allowed }) as never,
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
) as Schema<v.InferOutput<typeof SidecarRoom> & { readonly allowed?: boolean }>;

const ServiceEntry = message({
  external: optional(bool(), false),
  sidecar: optional(SidecarEntry),
  replicas: optional(uint32({ min: 1, max: 1_000_000 }), 1),
  node: optional(names()),
  namespace: optional(NamespaceName, 'default'),
  labels: optional(Labels),
  app: optional(Address),
  listen: optional(Address),
  source: optional(names()),
});
export type ServiceEntry = v.InferOutput<typeof ServiceEntry>;

const CallEntry = message({
  from: names(),
  to: names(),
  rate: optional(quantity(), 1),
  body: optional(size(), 0),
  via: optional(Address),
});
export type CallEntry = v.InferOutput<typeof CallEntry>;

export const CostEntry = message({
  cpu_us: optional(quantity(), 0),
  latency_us: optional(quantity()),
});
export type CostEntry = v.InferOutput<typeof CostEntry>;

/** What a `Custom` policy says about itself. */
const Semantics = message({
  sides: optional(enumOf(['either', 'both', 'sender', 'receiver']), 'either'),
  state: optional(enumOf(['none', 'process', 'mesh']), 'none'),
  home: optional(enumOf(['sender', 'receiver']), 'receiver'),
  payload: optional(bool(), false),
  protects: optional(enumOf(['nothing', 'load', 'security']), 'security'),
  stage: optional(enumOf(['authentication', 'authorization', 'limit', 'other']), 'other'),
});

const PolicyEntry = message({
  name: NAME,
  kind: enumOf(GRAPH_KINDS),
  to: optional(names()),
  from: optional(names()),
  side: optional(enumOf(['sender', 'receiver'])),
  shared: optional(bool(), false),
  after: optional(oneOrMany(nonEmptyString(), list(nonEmptyString())), []),
  beside: optional(oneOrMany(nonEmptyString(), list(nonEmptyString())), []),
  unordered: optional(bool(), false),
  semantics: optional(Semantics),
  cost: optional(message({ sender: optional(CostEntry), receiver: optional(CostEntry) })),
  spec: optional(struct()),
  filters: optional(list(jsonValue(), { min: 1 })),
});
export type PolicyEntry = v.InferOutput<typeof PolicyEntry>;

const NodeEntry = message({ cpu: optional(quantity()), memory: optional(size()) });

export const CallGraphFile = message({
  cluster: optional(
    message({
      network_policies: optional(enumOf(['absent', 'enforced'])),
      undeclared_callers: optional(enumOf(['possible', 'none'])),
    }),
    {},
  ),
  nodes: optional(mapOf(NodeEntry), {}),
  services: optional(mapOf(ServiceEntry), {}),
  calls: optional(list(CallEntry, { max: MAX_CALLS }), []),
  policies: optional(list(PolicyEntry, { max: MAX_POLICIES }), []),
});
export type CallGraphFile = v.InferOutput<typeof CallGraphFile>;
