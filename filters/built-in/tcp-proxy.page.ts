import type { FilterPage } from '../../src/filter/page.ts';

export const tcpProxyPage: FilterPage = {
  name: 'envoy.filters.network.tcp_proxy',
  slug: 'tcp-proxy',
  summary: 'Passes bytes between a client and an endpoint of a cluster, whatever they mean',
  text: `It is the last network filter of a chain that does not speak HTTP. Each direction ends by itself, and a reset is
passed on as a reset.`,
  statistics: {
    'tcp.<stat_prefix>.downstream_cx_total': 'connections',
    'tcp.<stat_prefix>.downstream_cx_rx_bytes_total': 'bytes from clients',
    'tcp.<stat_prefix>.downstream_cx_tx_bytes_total': 'bytes to clients',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
protocol: tcp
idle_timeout: 1h
`,
  tries: [{ request: { method: 'POST', body: 'anything' }, answer: { status: 200, body: 'anything' } }],
};
