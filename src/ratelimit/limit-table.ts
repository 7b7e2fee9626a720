import { type DescriptorEntry, RATE_LIMIT_UNIT } from '../http/grpc/rate-limit-request.ts';
import type { LimitDescriptor, LimitRule, LimitsFile } from './limits-schema.ts';

/** A limit of the configuration. */
export interface Limit {
  readonly requestsPerUnit: number;
  /** Number of a `RATE_LIMIT_UNIT`; 0 for one without a limit. */
  readonly unit: number;
  readonly isUnlimited: boolean;
  /** '' without one. */
  readonly name: string;
  /** Names of the limits that do not count where this one does. */
  readonly replaces: readonly string[];
  /** It is counted, but refuses nothing. */
  readonly isShadow: boolean;
  /** Name of its statistics: keys and values of its descriptor. */
  readonly statName: string;
}

interface Node {
  readonly limit: Limit | undefined;
  readonly children: Children;
}

/** Descriptors of one depth by key: of one value, of values that begin alike, and of any value. */
interface Children {
  readonly exact: Map<string, Node>;
  readonly prefixes: { readonly key: string; readonly prefix: string; readonly node: Node }[];
  readonly any: Map<string, Node>;
}

const SEPARATOR = '\0';

/** All limits, by domain. Immutable: another configuration makes another table. */
export class LimitTable {
  readonly #domains = new Map<string, Children>();
  /** Equal for files that say the same. */
  readonly fingerprint: string;
  readonly limits: readonly { readonly domain: string; readonly limit: Limit }[];

  get domains(): readonly string[] {
    return [...this.#domains.keys()];
  }

  constructor(files: readonly LimitsFile[]) {
    this.fingerprint = JSON.stringify(files);
    const limits: { domain: string; limit: Limit }[] = [];
    for (const { domain, descriptors } of files) {
      this.#domains.set(
        domain,
        compileChildren(descriptors, '', (limit) => limits.push({ domain, limit })),
      );
    }
    this.limits = limits;
  }

  /**
   * The limit of a descriptor; undefined when none concerns it. One concerns descriptors of just its own depth. An exact
   * value comes before a beginning, and that before any value.
   */
  find(domain: string, entries: readonly DescriptorEntry[]): Limit | undefined {
    let children = this.#domains.get(domain);
    let limit: Limit | undefined;
    for (const { key, value } of entries) {
      const node: Node | undefined = children === undefined ? undefined : find(children, key, value);
      if (node === undefined) return undefined;
      ({ limit, children } = node);
    }
    return limit;
  }
}

function find(children: Children, key: string, value: string): Node | undefined {
  const exact = children.exact.get(key + SEPARATOR + value);
  if (exact !== undefined) return exact;
  for (const { key: wanted, prefix, node } of children.prefixes)
    if (wanted === key && value.startsWith(prefix)) return node;
  return children.any.get(key);
}

function compileChildren(
  descriptors: readonly LimitDescriptor[],
  parentName: string,
  onLimit: (limit: Limit) => void,
): Children {
  const children: Children = { exact: new Map(), prefixes: [], any: new Map() };
  for (const { key, value = '', rate_limit: rule, shadow_mode: isShadow, descriptors: next } of descriptors) {
    const own = value === '' ? key : `${key}_${value}`;
    const name = (parentName === '' ? own : `${parentName}.${own}`).replaceAll(':', '_');
    const limit = rule === undefined ? undefined : compileLimit(rule, isShadow, name);
    if (limit !== undefined) onLimit(limit);
    const node: Node = { limit, children: compileChildren(next, name, onLimit) };
    if (value === '') children.any.set(key, node);
    else if (value.endsWith('*')) children.prefixes.push({ key, prefix: value.slice(0, -1), node });
    else children.exact.set(key + SEPARATOR + value, node);
  }
  // The longest beginning says most.
  children.prefixes.sort((a, b) => b.prefix.length - a.prefix.length);
  return children;
}

function compileLimit(rule: LimitRule, isShadow: boolean, statName: string): Limit {
  return {
    requestsPerUnit: rule.requests_per_unit,
    unit: rule.unit === undefined ? 0 : (RATE_LIMIT_UNIT[rule.unit.toUpperCase()] as number),
    isUnlimited: rule.unlimited,
    name: rule.name,
    replaces: rule.replaces.map(({ name }) => name),
    isShadow,
    statName,
  };
}
