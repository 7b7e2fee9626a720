import type { FilterPage } from '../../src/filter/page.ts';

export const originalDstPage: FilterPage = {
  name: 'envoy.filters.listener.original_dst',
  slug: 'original-dst',
  summary: 'Finds out where an intercepted connection wanted to go, and makes that its local end',
  text: `Chains, policies and logs then judge by it, and clusters of type ORIGINAL_DST go there. A connection that nobody redirected
stays as it is. One that wanted to come to a listener of this kind itself is refused: it would come back for ever. A listener with
\`use_original_dst\` has this filter without naming it. [interception.md](../interception.md#in-the-proxy) has the whole story.`,
  statistics: {
    'listener.<address>.original_dst.restored': 'connections whose original destination is known',
    'listener.<address>.original_dst.not_redirected': 'connections that came here by themselves',
    'listener.<address>.original_dst.own_listener_refused': 'connections that would have come back',
  },
  example: `static_resources:
  listeners:
  - name: virtual_inbound
    address: { socket_address: { address: 127.0.0.1, port_value: 15006 } }
    listener_filters:
    - name: envoy.filters.listener.original_dst
      typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst }
    filter_chains:
    - filter_chain_match: { destination_port: 15006 }
      filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: nowhere
          cluster: nowhere
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: inbound
          cluster: app
  clusters:
  - name: app
    type: ORIGINAL_DST
    lb_policy: CLUSTER_PROVIDED
    upstream_bind_config: { source_address: { address: 127.0.0.6, port_value: 0 } }
  - name: nowhere
    type: STATIC
    load_assignment: { cluster_name: nowhere }
`,
  tries: [{ request: {}, answer: 'closed' }],
};
