import type { InterceptOptions } from './options.ts';

/** Where the value of an option may come from: the command line, then the environment, then annotations. */
export interface OptionSource {
  /** Without the two dashes. */
  readonly name: string;
  /** As istio-iptables has it, so that its command lines run here. */
  readonly short?: string;
  /** The long name of istio-iptables. */
  readonly istio?: string;
  /** The environment of istio-iptables; our own is OUTRIGGER_ and the name. */
  readonly variable?: string;
  /** Behind traffic.sidecar.istio.io/ or outrigger.dev/. */
  readonly annotation?: string;
  /** What stands for the value in the help. */
  readonly value: string;
  readonly help: string;
  /** What it means to leave it out, for people. */
  readonly fallback: string;
}

export type OptionKey = keyof InterceptOptions;

export const OPTION_TABLE: Readonly<Record<OptionKey, OptionSource>> = {
  mode: {
    name: 'mode',
    short: 'm',
    istio: 'istio-inbound-interception-mode',
    variable: 'ISTIO_INBOUND_INTERCEPTION_MODE',
    annotation: 'interceptionMode',
    value: 'mode',
    help: 'how inbound connections get to the proxy: redirect, or tproxy, which keeps the client’s address',
    fallback: 'redirect',
  },
  outboundPort: {
    name: 'outbound-port',
    short: 'p',
    istio: 'envoy-port',
    variable: 'ENVOY_PORT',
    value: 'port',
    help: 'where the proxy takes outbound connections',
    fallback: '15001',
  },
  inboundPort: {
    name: 'inbound-port',
    short: 'z',
    istio: 'inbound-capture-port',
    variable: 'INBOUND_CAPTURE_PORT',
    value: 'port',
    help: 'where the proxy takes inbound connections',
    fallback: '15006',
  },
  tunnelPort: {
    name: 'tunnel-port',
    short: 'e',
    istio: 'inbound-tunnel-port',
    variable: 'INBOUND_TUNNEL_PORT',
    value: 'port',
    help: 'HBONE, which is reached directly',
    fallback: '15008',
  },
  proxyUids: {
    name: 'proxy-uid',
    short: 'u',
    istio: 'proxy-uid',
    variable: 'PROXY_UID',
    value: 'uids',
    help: 'whom the proxy runs as: its own connections are left alone',
    fallback: '1337',
  },
  proxyGids: {
    name: 'proxy-gid',
    short: 'g',
    istio: 'proxy-gid',
    variable: 'PROXY_GID',
    value: 'gids',
    help: 'the same by group',
    fallback: 'as --proxy-uid',
  },
  inboundPorts: {
    name: 'inbound-ports',
    short: 'b',
    istio: 'istio-inbound-ports',
    variable: 'ISTIO_INBOUND_PORTS',
    annotation: 'includeInboundPorts',
    value: 'ports',
    help: 'ports of the app that are intercepted: a list, * for all, none',
    fallback: '*',
  },
  excludedInboundPorts: {
    name: 'exclude-inbound-ports',
    short: 'd',
    istio: 'istio-local-exclude-ports',
    variable: 'ISTIO_LOCAL_EXCLUDE_PORTS',
    annotation: 'excludeInboundPorts',
    value: 'ports',
    help: 'ports of the app that are not; 15090, 15021 and 15020 never are',
    fallback: 'none',
  },
  outboundRanges: {
    name: 'outbound-ranges',
    short: 'i',
    istio: 'istio-service-cidr',
    variable: 'ISTIO_SERVICE_CIDR',
    annotation: 'includeOutboundIPRanges',
    value: 'cidrs',
    help: 'destinations that are intercepted: a list, * for all, none',
    fallback: '*',
  },
  excludedOutboundRanges: {
    name: 'exclude-outbound-ranges',
    short: 'x',
    istio: 'istio-service-exclude-cidr',
    variable: 'ISTIO_SERVICE_EXCLUDE_CIDR',
    annotation: 'excludeOutboundIPRanges',
    value: 'cidrs',
    help: 'destinations that are not',
    fallback: 'none',
  },
  outboundPorts: {
    name: 'outbound-ports',
    short: 'q',
    istio: 'istio-outbound-ports',
    variable: 'ISTIO_OUTBOUND_PORTS',
    annotation: 'includeOutboundPorts',
    value: 'ports',
    help: 'ports that are intercepted wherever they are, beside --outbound-ranges',
    fallback: 'none',
  },
  excludedOutboundPorts: {
    name: 'exclude-outbound-ports',
    short: 'o',
    istio: 'istio-local-outbound-ports-exclude',
    variable: 'ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE',
    annotation: 'excludeOutboundPorts',
    value: 'ports',
    help: 'ports that are not, wherever they are',
    fallback: 'none',
  },
  excludedInterfaces: {
    name: 'exclude-interfaces',
    short: 'c',
    istio: 'istio-exclude-interfaces',
    variable: 'ISTIO_EXCLUDE_INTERFACES',
    annotation: 'excludeInterfaces',
    value: 'names',
    help: 'interfaces whose traffic is left alone both ways',
    fallback: 'none',
  },
  virtualInterfaces: {
    name: 'virtual-interfaces',
    short: 'k',
    istio: 'kube-virt-interfaces',
    variable: 'KUBE_VIRT_INTERFACES',
    annotation: 'kubevirtInterfaces',
    value: 'names',
    help: 'interfaces of virtual machines: what comes in there is outbound traffic',
    fallback: 'none',
  },
  excludedUids: {
    name: 'exclude-uids',
    variable: 'ISTIO_OUTBOUND_OWNER_USERS_EXCLUDE',
    annotation: 'excludeOutboundUIDs',
    value: 'uids',
    help: 'users whose outbound connections are left alone, beside the proxy',
    fallback: 'none',
  },
  excludedGids: {
    name: 'exclude-gids',
    variable: 'ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE',
    annotation: 'excludeOutboundGIDs',
    value: 'gids',
    help: 'the same by group',
    fallback: 'none',
  },
  tproxyMark: {
    name: 'tproxy-mark',
    short: 't',
    istio: 'istio-inbound-tproxy-mark',
    variable: 'ISTIO_INBOUND_TPROXY_MARK',
    value: 'mark',
    help: 'mark of packets that TPROXY delivers here',
    fallback: '1337',
  },
  tproxyTable: {
    name: 'tproxy-table',
    short: 'r',
    istio: 'istio-inbound-tproxy-route-table',
    variable: 'ISTIO_INBOUND_TPROXY_ROUTE_TABLE',
    value: 'table',
    help: 'routing table that marked packets are looked up in',
    fallback: '133',
  },
};

/** The variable of our own for an option: OUTRIGGER_EXCLUDE_OUTBOUND_PORTS. */
export function ownVariable({ name }: OptionSource): string {
  return `OUTRIGGER_${name.toUpperCase().replaceAll('-', '_')}`;
}
