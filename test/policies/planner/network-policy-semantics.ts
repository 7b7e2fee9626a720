import type { NetworkPolicy } from '../../../policies/planner/network-policy.ts';

/** A pod as NetworkPolicy sees it. */
export interface Pod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Whether a pod may connect to another, by the rules of the Kubernetes API: a pod that no policy selects takes every
 * connection; one that policies select takes what a rule of any of them admits. A rule without peers admits everybody,
 * a peer with both selectors means pods of these labels in namespaces of those. `from` undefined is no pod at all.
 */
export function admits(policies: readonly NetworkPolicy[], from: Pod | undefined, to: Pod): boolean {
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === to.namespace &&
      has(to.labels, spec.podSelector.matchLabels) &&
      spec.policyTypes.includes('Ingress'),
  );
  if (selecting.length === 0) return true;
  return selecting.some(({ spec }) =>
    spec.ingress.some(({ from: peers }) =>
      peers === undefined || peers.length === 0
        ? true
        : peers.some(
            ({ namespaceSelector, podSelector }) =>
              from !== undefined &&
              has({ 'kubernetes.io/metadata.name': from.namespace }, namespaceSelector.matchLabels) &&
              has(from.labels, podSelector.matchLabels),
          ),
    ),
  );
}

/** An empty selector takes everything. */
function has(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}
