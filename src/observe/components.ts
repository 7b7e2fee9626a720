/**
 * What a sidecar's time goes into: one list for the probes in the proxy, the profile from outside and whatever reads
 * them. Each entry says what the two papers call it.
 *
 * - Table 2: "Functional components of a sidecar proxy" in Sahu et al., "Understanding Sidecars in Cloud
 *   Orchestration", SESAME 2025, §5.2. That a TLS filter's work counts as a filter's is said in its appendix B.2.
 * - MeshInsight: "Components in MeshInsight's performance model", Table 1 of Zhu et al., "Dissecting Overheads of Service
 *   Mesh Sidecars", SoCC 2023, §3.
 */
export const TABLE2 = [
  'OS Read',
  'Sidecar Read',
  'Packet Processing',
  'HTTP Protocol Parse',
  'Header En/Decoder',
  'Sidecar Filter',
  'Event Poll',
  'Sidecar Write',
  'OS Write',
] as const;
export type Table2Component = (typeof TABLE2)[number];

export const MESH_INSIGHT = [
  'IPC',
  'Read',
  'Write',
  'Notification',
  'Sidecar Parsing',
  'Sidecar Filter',
  'Sidecar Other',
] as const;
export type MeshInsightComponent = (typeof MESH_INSIGHT)[number];

export interface Component {
  readonly id: string;
  /** For tables and pages. */
  readonly title: string;
  /** Row of Table 2 that it belongs to; undefined where the table has none. */
  readonly table2: Table2Component | undefined;
  readonly meshInsight: MeshInsightComponent;
  /** What is counted, in our proxy's words. */
  readonly what: string;
}

/**
 * In the order in which a message meets them. Several of ours may make one row of a paper's: `routing` and
 * `packet_processing` are both what moves messages between the rest; loopback delivery is in the write call of Table 2
 * and IPC in MeshInsight, whose Write ends with the stack's transmit side.
 */
export const COMPONENTS = [
  component('event_poll', 'Event poll', 'Event Poll', 'Notification', 'epoll_wait and the event loop around it'),
  component('os_read', 'OS read', 'OS Read', 'Read', 'the read system call: kernel stack and copy to user space'),
  component('sidecar_read', 'Sidecar read', 'Sidecar Read', 'Sidecar Other', 'what brings read bytes to the codec'),
  component(
    'packet_processing',
    'Packet processing',
    'Packet Processing',
    'Sidecar Other',
    'connections, network filter chain, TCP proxy, streams, flow control, timers, statistics',
  ),
  component(
    'http_parse',
    'HTTP parse',
    'HTTP Protocol Parse',
    'Sidecar Parsing',
    'heads, bodies and frames as they come',
  ),
  component(
    'header_codec',
    'Header en/decode',
    'Header En/Decoder',
    'Sidecar Parsing',
    'header blocks (HPACK), header values, heads as they are written',
  ),
  component(
    'filter',
    'Filters',
    'Sidecar Filter',
    'Sidecar Filter',
    'the hooks of each configured filter, and access logs, which the papers count as one',
  ),
  component('tls', 'TLS', 'Sidecar Filter', 'Sidecar Filter', 'encryption and decryption'),
  component('routing', 'Routing', 'Packet Processing', 'Sidecar Other', 'route table, router, balancer, pool'),
  component(
    'sidecar_write',
    'Sidecar write',
    'Sidecar Write',
    'Sidecar Other',
    'putting messages together, and user space’s part of the write call',
  ),
  component('os_write', 'OS write', 'OS Write', 'Write', 'the write system call: copy and the stack’s transmit side'),
  component('os_ipc', 'Loopback delivery', 'OS Write', 'IPC', 'receive side of the loopback hop, run within the write'),
  component('runtime', 'Language runtime', undefined, 'Sidecar Other', 'garbage collection, compilation of JavaScript'),
  component('kernel_other', 'Other kernel', undefined, 'Sidecar Other', 'scheduling, page faults, other system calls'),
] as const satisfies readonly Component[];

export type ComponentId = (typeof COMPONENTS)[number]['id'];

function component<const Id extends string>(
  id: Id,
  title: string,
  table2: Table2Component | undefined,
  meshInsight: MeshInsightComponent,
  what: string,
): Component & { readonly id: Id } {
  return { id, title, table2, meshInsight, what };
}

const byId = new Map<string, Component>(COMPONENTS.map((entry) => [entry.id, entry]));

/** What separates a filter's name from `filter` in a part's name: `filter/envoy.filters.http.rbac`. */
const FILTER_PREFIX = 'filter/';

/** The name of one filter's part. */
export function filterPart(filter: string): string {
  return FILTER_PREFIX + filter;
}

/** Both sides of a write, where the probes cannot tell them apart. */
export const WRITE_CALL = 'write_call';

/** What V8 calls the source of the functions that the probes put around methods. */
export const WOVEN_SOURCE = 'woven:';

/** A source for what is put around a method of the part; '' for no part. */
export function wovenSource(part: string): string {
  return WOVEN_SOURCE + encodeURIComponent(part);
}

/** The part that such a source is named by. */
export function partOfWoven(source: string): string {
  const part = decodeURIComponent(source.substring(WOVEN_SOURCE.length));
  return part === WRITE_CALL ? 'sidecar_write' : part;
}

/** The component of a part: a component's id, or `filter/<name>`. @throws Error for another name */
export function componentOf(part: string): Component {
  const found = byId.get(part.startsWith(FILTER_PREFIX) ? 'filter' : part);
  if (found === undefined) throw new Error(`no component is called '${part}'`);
  return found;
}

/** How a part is shown: a filter by its own name. */
export function partTitle(part: string): string {
  return part.startsWith(FILTER_PREFIX) ? part.substring(FILTER_PREFIX.length) : componentOf(part).title;
}

/** Sums by the rows of Table 2, in its order; what has no row there comes last, as `Not in Table 2`. */
export function byTable2(parts: Readonly<Record<string, number>>): [row: string, value: number][] {
  return sumBy(TABLE2, parts, (entry) => entry.table2 ?? 'Not in Table 2');
}

/** Sums by MeshInsight's components, in its order. */
export function byMeshInsight(parts: Readonly<Record<string, number>>): [row: string, value: number][] {
  return sumBy(MESH_INSIGHT, parts, (entry) => entry.meshInsight);
}

function sumBy(
  rows: readonly string[],
  parts: Readonly<Record<string, number>>,
  rowOf: (entry: Component) => string,
): [string, number][] {
  const sums = new Map<string, number>(rows.map((row) => [row, 0]));
  for (const [part, value] of Object.entries(parts)) {
    const row = rowOf(componentOf(part));
    sums.set(row, (sums.get(row) ?? 0) + value);
  }
  return [...sums];
}
