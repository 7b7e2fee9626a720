import type { Policy, Side } from '../policy.ts';

/** What a policy keeps from harm: decides whether it may leave the receiver for its senders. */
export type Protection = 'nothing' | 'load' | 'security';

/** Where in a request's way it stands among the others. */
export type Stage = 'authentication' | 'authorization' | 'limit' | 'other';

/** What the planner must know of a policy; for the nine kinds it follows from kind and spec. */
export interface PlanningSemantics {
  /** `both`: it has a part at each end. */
  readonly sides: 'either' | 'both' | Side;
  /** Why it is not `either`, as the end of a sentence; empty when it is. */
  readonly because: string;
  /** `process`: each proxy counts by itself, so it means something else with other proxies. */
  readonly state: 'none' | 'process' | 'mesh';
  /** Where it stays while its state cannot be shared. */
  readonly home: Side;
  readonly payload: boolean;
  readonly protects: Protection;
  readonly stage: Stage;
  /** Reads what an authentication of the same proxy has found out. */
  readonly needsClaims: boolean;
  /** One of a receiver's ALLOW policies must hold: they are asked together. */
  readonly isAllow: boolean;
}

/** CPU and time that one request costs at one place. */
export interface RequestCost {
  readonly cpuMicros: number;
  readonly latencyMicros: number;
}

/** A policy of the graph. */
export interface PlannedPolicy {
  readonly name: string;
  /** One of the nine kinds, or `Custom`. */
  readonly kind: string;
  /** Services whose callers it is about; undefined: all. */
  readonly to: readonly number[] | undefined;
  /** Services whose calls it is about; undefined: those of everybody. */
  readonly from: readonly number[] | undefined;
  /** The only side that its writer wants. */
  readonly side: Side | undefined;
  /** Names of policies that come before it, wherever both hold. */
  readonly after: readonly string[];
  /** Names of policies in the same proxy as this one. */
  readonly beside: readonly string[];
  /** True: neither its kind nor its state asks for an order. */
  readonly unordered: boolean;
  readonly semantics: PlanningSemantics;
  /** In place of the profile's. */
  readonly cost: { readonly [side in Side]?: RequestCost };
  /** The policy itself, for sidecar files; undefined when the graph only plans with it. */
  readonly document: Policy | undefined;
  /** Filters of a `Custom` policy, as a sidecar file has them. */
  readonly filters: readonly unknown[] | undefined;
  /** Where it stands, `file:line`. */
  readonly place: string;
}
