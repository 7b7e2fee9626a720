import type { Position } from '../src/config/document.ts';
import type { Path } from '../src/config/errors.ts';
import type { Problem, Schema } from '../src/config/schema/building-blocks.ts';

/** Whose sidecar enforces a policy: that of the workload that calls, or that of the one which is called. */
export type Side = 'sender' | 'receiver';

export const SIDES: readonly Side[] = ['sender', 'receiver'];

/**
 * What a planner may rely on. `paper`, `input`, `output` and `pure` are the rows of Tables 1 and 2 of "Towards a
 * Lightweight Sidecar-based Service Mesh for Serverless" (SoCC '25); `placement` is what "Towards Efficient Microservice
 * Communication" (ApPLIED '23, §4.3) calls correctness constraints: on the receiver, on all senders, or on both ends.
 */
export interface PolicySemantics {
  /** Number of the policy in both tables, 1…9. */
  readonly paper: number;
  readonly input: 'L7 headers' | 'L4 and L7 headers';
  readonly output: 'allow or deny' | 'none';
  /** True when the verdict depends on the input alone: such a policy can run in a fresh sandbox per request. */
  readonly pure: boolean;
  /** What it remembers from one request to the next, and where. */
  readonly state: { readonly kept: 'none' | 'process' | 'mesh'; readonly what: string };
  /** Whether it needs the body: `replayed` keeps it, up to the buffer's limit, to send it again. */
  readonly payload: 'none' | 'replayed';
  /** `either` may be enforced at the receiver or at all of its senders; `both` has a part at each end of a connection. */
  readonly placement: 'either' | 'both' | Side;
  /** Where it is enforced when nobody chooses. */
  readonly usualSide: Side;
  /** Set for each function, or once for all of them. */
  readonly granularity: 'function' | 'mesh';
}

export interface PolicyMetadata {
  readonly name: string;
  readonly namespace: string;
}

/** One validated document of a policy file. */
export interface Policy<Spec = unknown> {
  readonly kind: PolicyKind<Spec>;
  readonly metadata: PolicyMetadata;
  /** Labels that a workload must have; undefined: every workload. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly spec: Spec;
  /** Where it stands. */
  readonly file: string;
  readonly line: number;
  /** The place of a part of the document in the file. */
  locate(path: Path): Position;
}

/** A kind of policy: its form, its semantics, and what it becomes. */
// biome-ignore lint/suspicious/noExplicitAny: kinds of all specs lie in one list
export interface PolicyKind<Spec = any> {
  /** As in `kind:` of a document. */
  readonly kind: string;
  readonly summary: string;
  readonly spec: Schema<Spec>;
  readonly semantics: PolicySemantics;
  /** Why this one cannot be enforced on a side, with the path of the culprit in `spec`; undefined when it can. */
  refusal(spec: Spec, side: Side): Problem | undefined;
  /** Envoy's configuration for one side. Only called when {@link refusal} says nothing. */
  compile(policy: Policy<Spec>, side: Side): Fragments;
}

/** A part of Envoy's configuration in canonical form: plain data. */
export type Canonical = Record<string, unknown>;

export interface NamedFilter {
  readonly name: string;
  readonly typed_config: Canonical;
}

/** Filters run in this order, whatever the order of the policies: who calls, what may be called, how often. */
export const PHASES = ['scope', 'authentication', 'deny', 'allow', 'limit'] as const;
export type Phase = (typeof PHASES)[number];

export interface PhasedFilter {
  readonly phase: Phase;
  readonly filter: NamedFilter;
}

/** What a policy adds to a configuration. Everything that is not there stays as it is. */
export interface Fragments {
  /** In front of the filters that the file has. Filters of one name are one: their rules are put together. */
  readonly httpFilters?: readonly PhasedFilter[];
  /** In front of the network filters of listeners that speak no HTTP; without them those cannot enforce the policy. */
  readonly networkFilters?: readonly PhasedFilter[];
  /** Fields of every HTTP connection manager. */
  readonly manager?: Canonical;
  /** Added to those of every connection manager and TCP proxy. */
  readonly accessLogs?: readonly Canonical[];
  readonly listener?: Canonical;
  /** Hosts that the workload sees, `*.name` among them; virtual hosts of all others are taken out. */
  readonly scope?: readonly string[];
  /** Fields of every virtual host. */
  readonly virtualHost?: Canonical;
  /** TLS of the filter chains: alone, or beside plain text. */
  readonly downstreamTls?: { readonly isOptional: boolean; readonly socket: Canonical };
  /** Fields of the clusters that the policy is about. */
  readonly destination?: Canonical;
  /** Names of those clusters; undefined: all that the file has. */
  readonly destinations?: readonly string[] | undefined;
  /** Services that the policy itself needs. */
  readonly clusters?: readonly Canonical[];
  /** What a rate-limit service needs to know, in the form that Envoy's reference service reads. */
  readonly limits?: Canonical;
}

/** `type.googleapis.com/…` */
export function typed(type: string, fields: Canonical): Canonical {
  return { '@type': `type.googleapis.com/${type}`, ...fields };
}

/** A map without the fields that are undefined. */
export function given(fields: Canonical): Canonical {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
