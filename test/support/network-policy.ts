import type { LabelSelector, NetworkPolicy } from '../../policies/planner/network-policy.ts';
import type { Pod } from './netns.ts';

/** A pod of the test network as the cluster's API knows it. */
export interface LabelledPod {
  readonly pod: Pod;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Enforces policies for real, as a cluster's network does: whoever is selected drops what no rule admits, by nftables in
 * the pod's own network namespace. Selectors become the addresses of the pods that they take; pods that come later are
 * not known. What is refused hears so at once (a reset), where most networks stay silent: a test need not wait.
 */
export function enforce(policies: readonly NetworkPolicy[], pods: readonly LabelledPod[]): void {
  for (const one of pods) {
    const selecting = policies.filter(
      ({ metadata, spec }) => metadata.namespace === one.namespace && takes(spec.podSelector, one.labels),
    );
    if (selecting.length > 0) one.pod.sh(`nft -f - <<'END'\n${ruleset(selecting, pods)}\nEND`);
  }
}

const TABLE = 'outrigger-network-policy';

/** Takes all rules back. */
export function open(pods: readonly LabelledPod[]): void {
  for (const { pod } of pods)
    pod.sh(`nft list table inet ${TABLE} >/dev/null 2>&1 && nft delete table inet ${TABLE} || true`);
}

function ruleset(policies: readonly NetworkPolicy[], pods: readonly LabelledPod[]): string {
  const admitted = policies
    .flatMap(({ spec }) => spec.ingress)
    .flatMap(({ from }) => {
      // "If this field is empty or missing, this rule matches all sources" (networking.k8s.io/v1).
      if (from.length === 0) return ['accept'];
      return from.flatMap((peer) =>
        pods
          .filter(
            ({ namespace, labels }) =>
              takes(peer.namespaceSelector, { 'kubernetes.io/metadata.name': namespace }) &&
              takes(peer.podSelector, labels),
          )
          .flatMap(({ pod }) => [
            `ip saddr ${pod.ipv4} accept`,
            ...(pod.hasIpv6 ? [`ip6 saddr ${pod.ipv6} accept`] : []),
          ]),
      );
    });
  return [
    `table inet ${TABLE} {`,
    'chain input {',
    'type filter hook input priority filter; policy accept;',
    // A pod always reaches itself, and answers to what it asked for come in.
    'iif lo accept',
    'ct state established,related accept',
    ...new Set(admitted),
    'meta l4proto tcp reject with tcp reset',
    'meta l4proto { udp, sctp } drop',
    '}',
    '}',
  ].join('\n');
}

/** An empty selector takes everything. */
function takes({ matchLabels }: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
}
