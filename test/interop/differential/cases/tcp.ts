import type { Scenario } from '../harness/case.ts';
import { ACCESS_LOG } from '../harness/configuration.ts';

function tcpProxy(name: string, cluster: string, before = ''): string {
  const log = ACCESS_LOG.split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
  return `${before}- name: envoy.filters.network.tcp_proxy
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
    stat_prefix: ${name}
    cluster: ${cluster}
    access_log:
${log}`;
}

/** Connections that are passed on as they are. */
export const tcp: Scenario = {
  name: 'tcp',
  networkFilters: tcpProxy('tcp', '$app'),
  cases: [
    {
      name: 'bytes both ways',
      send: ['GET / HTTP/1.1\r\n\r\n', { text: 'hello' }],
      upstream: ['hello'],
      responses: 0,
      probe: false,
    },
    {
      name: 'the client ends first',
      send: ['GET / HTTP/1.1\r\n\r\n', 'FIN', { text: 'late' }],
      upstream: [[40, 'late', 'FIN']],
      responses: 0,
      probe: false,
    },
    {
      name: 'the upstream ends first',
      send: ['GET / HTTP/1.1\r\n\r\n', { text: 'bye' }],
      upstream: [['bye', 'FIN']],
      responses: 0,
      probe: false,
    },
    {
      name: 'the upstream resets',
      send: ['GET / HTTP/1.1\r\n\r\n', 60],
      upstream: [['RST']],
      responses: 0,
      probe: false,
    },
    {
      name: 'the client resets',
      send: ['GET / HTTP/1.1\r\n\r\n', { text: 'hello' }, 'RST', 20],
      upstream: ['hello'],
      responses: 0,
      probe: false,
    },
  ],
};

export const tcpFailures: Scenario = {
  name: 'tcp-dead',
  networkFilters: tcpProxy('tcp-dead', 'tcp-dead-end'),
  clusters: `- name: tcp-dead-end
  connect_timeout: 1s
  load_assignment:
    cluster_name: tcp-dead-end
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $dead } } } }] }]`,
  cases: [
    { name: 'nobody listens', differs: { 'tcp-termination-details': ['log'] }, send: [80], responses: 0, probe: false },
  ],
};

export const tcpDenied: Scenario = {
  name: 'tcp-denied',
  networkFilters: tcpProxy(
    'tcp-denied',
    '$app',
    `- name: envoy.filters.network.rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC
    stat_prefix: tcp-denied
    rules: { action: DENY, policies: { loopback: { permissions: [{ any: true }], principals: [{ direct_remote_ip: { address_prefix: 127.0.0.0, prefix_len: 8 } }] } } }
`,
  ),
  cases: [
    {
      name: 'by a rule',
      differs: { 'denied-connection-log': ['flags', 'details', 'log'] },
      send: ['hello', 60],
      responses: 0,
      probe: false,
    },
  ],
};
