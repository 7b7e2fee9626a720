import { byMeshInsight, byTable2, COMPONENTS, componentOf, partTitle } from '../../observe/components.ts';
import { UNATTRIBUTED, USER } from './attribute.ts';
import type { SizeShares } from './difference.ts';
import type { InsideOutside } from './inside-outside.ts';

export const PROFILE_SCHEMA = 'outrigger.profile/1';

/** How a part was found: by the symbols of its stacks, or as the difference of two configurations. */
export type PartBasis = 'symbols' | 'by difference';

export interface ProfilePart {
  /** A component's id, `filter/<name>`, `user` (user space that nothing takes apart) or `unattributed`. */
  readonly part: string;
  readonly title: string;
  /** Null where the papers have no row, or nobody knows which. */
  readonly table2: string | null;
  readonly meshInsight: string | null;
  readonly basis: PartBasis;
  /** Of the CPU time, from 0 to 1. A difference may come out below 0. */
  readonly share: number;
  readonly usPerRequest: number;
}

export interface SystemCallTimes {
  /** Null when nothing could time them; `note` says why. */
  readonly tool: 'bpftrace' | null;
  readonly note: string;
  readonly calls: readonly {
    readonly name: string;
    readonly perRequest: number;
    /** Wall time in the call, waiting included. */
    readonly meanUs: number;
    readonly usPerRequest: number;
  }[];
}

export interface CounterValues {
  readonly kind: 'hardware' | 'software';
  readonly note: string;
  /** By perf's name of the event, per request. */
  readonly perRequest: Readonly<Record<string, number>>;
  /** `ipc`, `l1i_mpki`, `l2_mpki`, `itlb_walks_per_kilo_instruction`; with hardware counters only. */
  readonly derived: Readonly<Record<string, number>>;
  /** What a processor may count and this one does not, or nobody is allowed to. */
  readonly absent?: readonly string[];
}

/** The probes' own account of the same load, for Outrigger. */
export interface InsideView {
  /** As the load counted them. */
  readonly requests: number;
  /** What the parts of the probes were scaled by (`rowScale` of /components). */
  readonly rowScale?: number;
  readonly cpuUsPerRequest: number;
  readonly unattributedShare: number;
  readonly usPerRequest: Readonly<Record<string, number>>;
}

export interface ProfileReport {
  readonly schema: typeof PROFILE_SCHEMA;
  readonly startedAt: string;
  readonly command: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string; readonly node: string };
  readonly peer: { readonly name: string; readonly version: string; readonly description: string };
  /** File or scenario. */
  readonly config: string;
  readonly protocol: 'http' | 'tcp';
  readonly load: { readonly tool: string; readonly connections: number; readonly durationS: number };
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** CPU time of the proxy's process, as the kernel counts it. */
  readonly cpuUsPerRequest: number;
  readonly sampling: { readonly event: string; readonly hz: number; readonly samples: number };
  readonly parts: readonly ProfilePart[];
  /** Microseconds per request by the rows of the papers. */
  readonly table2: Readonly<Record<string, number>>;
  readonly meshInsight: Readonly<Record<string, number>>;
  readonly systemCalls: SystemCallTimes;
  readonly counters: CounterValues;
  readonly inside?: InsideView;
  /** With `inside`: both accounts, row by row. */
  readonly insideOutside?: InsideOutside;
  /** What depends on the size of messages; by difference, for proxies without symbols. */
  readonly sizes?: SizeShares;
  readonly notes: readonly string[];
}

/** Parts from the samples of each, scaled to the CPU time of a request. */
export function partsOfSamples(samples: ReadonlyMap<string, number>, cpuUsPerRequest: number): ProfilePart[] {
  let total = 0;
  for (const count of samples.values()) total += count;
  return inOrder([...samples].map(([part, count]) => profilePart(part, count / total, cpuUsPerRequest, 'symbols')));
}

export function profilePart(part: string, share: number, cpuUsPerRequest: number, basis: PartBasis): ProfilePart {
  const unknown = part === UNATTRIBUTED || part === USER;
  const component = unknown ? undefined : componentOf(part);
  const title = part === USER ? 'User space, not taken apart' : unknown ? 'Unattributed' : partTitle(part);
  return {
    part,
    title,
    table2: component?.table2 ?? null,
    meshInsight: component?.meshInsight ?? null,
    basis,
    share,
    usPerRequest: share * cpuUsPerRequest,
  };
}

/** In the order in which a message meets them; what nobody knows comes last. */
export function inOrder(parts: readonly ProfilePart[]): ProfilePart[] {
  const place = ({ part }: ProfilePart): number => {
    if (part === USER) return COMPONENTS.length;
    if (part === UNATTRIBUTED) return COMPONENTS.length + 1;
    const { id } = componentOf(part);
    return COMPONENTS.findIndex((entry) => entry.id === id);
  };
  return parts.toSorted((a, b) => place(a) - place(b) || (a.part < b.part ? -1 : 1));
}

/** Sums of the parts by the rows of both papers. */
export function paperSums(parts: readonly ProfilePart[]): Pick<ProfileReport, 'table2' | 'meshInsight'> {
  const known = parts.filter(({ part }) => part !== USER && part !== UNATTRIBUTED);
  const times = Object.fromEntries(known.map(({ part, usPerRequest }) => [part, usPerRequest]));
  const rest = parts.filter(({ part }) => part === USER || part === UNATTRIBUTED);
  const loose = Object.fromEntries(rest.map(({ title, usPerRequest }) => [title, usPerRequest]));
  return {
    table2: { ...Object.fromEntries(byTable2(times)), ...loose },
    meshInsight: { ...Object.fromEntries(byMeshInsight(times)), ...loose },
  };
}

/** Share of the CPU time that no rule knows. */
export function unattributedShare(parts: readonly ProfilePart[]): number {
  return parts.find(({ part }) => part === UNATTRIBUTED)?.share ?? 0;
}
