import { hash } from 'node:crypto';
import { isDnsSubdomain } from '../kubernetes-names.ts';
import type { CallGraph, Service } from './call-graph.ts';

/** How a receiver is closed to everybody but its declared callers. */
export interface Closure {
  readonly receiver: number;
  /** All declared callers: indices of services. */
  readonly callers: readonly number[];
}

/** `networking.k8s.io/v1`, as far as closing a receiver needs it. */
export interface NetworkPolicy {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly podSelector: LabelSelector;
    readonly policyTypes: readonly ['Ingress'];
    readonly ingress: readonly { readonly from: readonly NetworkPeer[] }[];
  };
}

export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
}

export interface NetworkPeer {
  readonly namespaceSelector: LabelSelector;
  readonly podSelector: LabelSelector;
}

/** Every namespace carries its own name in this label (Kubernetes 1.22). */
const NAMESPACE_LABEL = 'kubernetes.io/metadata.name';

/**
 * Whether a NetworkPolicy can admit the declared callers of a service and nobody else; the text says why it cannot.
 * Selectors go by labels: a service whose pods carry another's labels too would be taken for it.
 */
export function closureOf(graph: CallGraph, receiver: number, calls: readonly number[]): Closure | string {
  const { services, cluster } = graph;
  const { name, external } = services[receiver]!;
  if (cluster.networkPolicies !== 'enforced') return 'the cluster enforces no NetworkPolicy';
  if (external) return `${name} is outside of the cluster`;
  const callers = [...new Set(calls.map((call) => graph.calls[call]!.from))];
  const outside = callers.find((caller) => services[caller]!.external);
  if (outside !== undefined) return `${services[outside]!.name} calls ${name} from outside, which no pod label tells`;
  for (const selected of [receiver, ...callers]) {
    if (Object.keys(services[selected]!.labels).length === 0) return `${services[selected]!.name} has no labels`;
    const other = alike(graph, services[selected]!).find(
      (index) => index !== selected && !isAdmitted(index, selected) && carries(services[index]!, services[selected]!),
    );
    if (other !== undefined) return `labels do not tell ${services[selected]!.name} from ${services[other]!.name}`;
  }
  return { receiver, callers };

  /** Another caller of the same receiver may be taken for this one: both are let in. */
  function isAdmitted(index: number, selected: number): boolean {
    return selected !== receiver && callers.includes(index);
  }
}

const servicesByLabel = new WeakMap<CallGraph, Map<string, number[]>>();

/** The services that share the first label of this one: all that its selector could take are among them. */
function alike(graph: CallGraph, { namespace, labels }: Service): readonly number[] {
  const key = (space: string, [name, value]: [string, string]): string => JSON.stringify([space, name, value]);
  let index = servicesByLabel.get(graph);
  if (index === undefined) {
    index = new Map();
    for (const [service, one] of graph.services.entries()) {
      for (const label of Object.entries(one.labels)) {
        const there = index.get(key(one.namespace, label));
        if (there === undefined) index.set(key(one.namespace, label), [service]);
        else there.push(service);
      }
    }
    servicesByLabel.set(graph, index);
  }
  return index.get(key(namespace, Object.entries(labels)[0]!)) ?? [];
}

/** Whether a selector by the labels of `wanted` takes the pods of `one`. */
function carries(one: Service, wanted: Service): boolean {
  if (one.external || one.namespace !== wanted.namespace) return false;
  return Object.entries(wanted.labels).every(([key, value]) => one.labels[key] === value);
}

/** Room for what is before it and after it in a name of Kubernetes. */
const MAX_PLAIN = 200;
const MAX_READABLE = 60;

/**
 * Services are called freely, objects of Kubernetes are not. A name that is not one of theirs becomes what can be read of
 * it with a hash of all of it; one that looks like such a name is hashed too, so that no two services share one, and none
 * replaces the policy of another.
 */
function objectName(service: string): string {
  if (isDnsSubdomain(service) && service.length <= MAX_PLAIN && !/-[0-9a-f]{32}$/.test(service)) return service;
  const readable = service
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_READABLE)
    .replace(/^-+|-+$/g, '');
  return `${readable}-${hash('sha256', service).slice(0, 32)}`;
}

/** The policy to apply in the cluster before the receiver's sidecar is taken away. */
export function networkPolicy({ services }: CallGraph, { receiver, callers }: Closure): NetworkPolicy {
  const { name, namespace, labels } = services[receiver]!;
  const from = callers.map((caller) => ({
    namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: services[caller]!.namespace } },
    podSelector: { matchLabels: services[caller]!.labels },
  }));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `outrigger-${objectName(name)}`, namespace },
    // Without any rule nobody gets in; an empty list of peers in a rule would admit everybody.
    spec: {
      podSelector: { matchLabels: labels },
      policyTypes: ['Ingress'],
      ingress: from.length === 0 ? [] : [{ from }],
    },
  };
}
