import type { FilterPage } from '../../src/filter/page.ts';

export const networkRbacPage: FilterPage = {
  name: 'envoy.filters.network.rbac',
  slug: 'network-rbac',
  summary: 'Who may connect: addresses, ports, server names, certificates',
  text: `A connection that is denied is closed and the name of the policy in its log line.`,
  statistics: {
    '<stat_prefix>.rbac.allowed': 'connections that passed',
    '<stat_prefix>.rbac.denied': 'connections that were closed',
    '<stat_prefix>.rbac.shadow_allowed': 'connections that `shadow_rules` would let pass',
    '<stat_prefix>.rbac.shadow_denied': 'connections that they would close',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
protocol: tcp
filters:
- network_rbac: { deny: [{ name: office, source: 192.0.2.0/24 }] }
- network_rbac: { allow: [{ name: loopback, source: 127.0.0.0/8 }] }
`,
  tries: [{ request: {}, answer: { status: 200 } }],
};
