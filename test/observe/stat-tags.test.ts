import { describe, expect, it } from 'vitest';
import { tagStatName } from '../../src/observe/stat-tags.ts';

describe('tagStatName', () => {
  // What Envoy 1.40 made of these names in its own Prometheus output.
  it.each([
    ['cluster.app.upstream_rq_total', 'cluster_upstream_rq_total{envoy_cluster_name="app"}'],
    ['cluster.app.upstream_rq_200', 'cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="app"}'],
    [
      'cluster.app.external.upstream_rq_5xx',
      'cluster_external_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="app"}',
    ],
    ['cluster.app.x.default.total_match_count', 'cluster_x_default_total_match_count{envoy_cluster_name="app"}'],
    [
      'cluster.app.circuit_breakers.default.cx_open',
      'cluster_circuit_breakers_default_cx_open{envoy_cluster_name="app"}',
    ],
    [
      'http.ingress_http.downstream_rq_2xx',
      'http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="ingress_http"}',
    ],
    ['http.ingress_http.rbac.allowed', 'http_rbac_allowed{envoy_http_conn_manager_prefix="ingress_http"}'],
    [
      'http.ingress_http.rbac.rp.allowed',
      'http_rbac_allowed{envoy_rbac_http_prefix="rp",envoy_http_conn_manager_prefix="ingress_http"}',
    ],
    [
      'http.ingress_http.rbac.sp.policy.p1.shadow_denied',
      'http_rbac_policy_shadow_denied{envoy_rbac_policy_name="p1",envoy_rbac_http_prefix="sp",envoy_http_conn_manager_prefix="ingress_http"}',
    ],
    [
      'http.ingress_http.fault.delays_injected',
      'http_fault_delays_injected{envoy_http_conn_manager_prefix="ingress_http"}',
    ],
    [
      'http.ingress_http.ip_tagging.loop.back.hit',
      'http_ip_tagging_loop_back_hit{envoy_http_conn_manager_prefix="ingress_http"}',
    ],
    ['proxy_proto.not_found_disallowed', 'proxy_proto_not_found_disallowed{}'],
    ['proxy_proto.sp.not_found_allowed', 'proxy_proto_not_found_allowed{envoy_proxy_protocol_prefix="sp"}'],
    ['proxy_proto.versions.v2.error', 'proxy_proto_error{envoy_proxy_protocol_version="2"}'],
    [
      'proxy_proto.sp.versions.v1.found',
      'proxy_proto_found{envoy_proxy_protocol_prefix="sp",envoy_proxy_protocol_version="1"}',
    ],
    ['my_rl.http_local_rate_limit.ok', 'http_local_rate_limit_ok{envoy_local_http_ratelimit_prefix="my_rl"}'],
    [
      'local_rate_limit.nlim.rate_limited',
      'local_rate_limit_rate_limited{envoy_local_network_ratelimit_prefix="nlim"}',
    ],
    [
      'connection_limit.climit.active_connections',
      'connection_limit_active_connections{envoy_connection_limit_prefix="climit"}',
    ],
    ['netrbac.rbac.denied', 'rbac_denied{envoy_rbac_prefix="netrbac"}'],
    ['tcp.tcpin.downstream_cx_total', 'tcp_downstream_cx_total{envoy_tcp_prefix="tcpin"}'],
    [
      'listener.127.0.0.1_29902.downstream_cx_total',
      'listener_downstream_cx_total{envoy_listener_address="127.0.0.1_29902"}',
    ],
    [
      'listener.[__1]_29914.downstream_cx_active',
      'listener_downstream_cx_active{envoy_listener_address="[__1]_29914"}',
    ],
    [
      'listener.127.0.0.1_29902.http.ingress_http.downstream_rq_4xx',
      'listener_http_downstream_rq_xx{envoy_response_code_class="4",envoy_http_conn_manager_prefix="ingress_http",envoy_listener_address="127.0.0.1_29902"}',
    ],
    [
      'listener.127.0.0.1_29902.worker_0.downstream_cx_total',
      'listener_worker_downstream_cx_total{envoy_worker_id="0",envoy_listener_address="127.0.0.1_29902"}',
    ],
    ['listener.admin.downstream_cx_total', 'listener_admin_downstream_cx_total{}'],
    [
      'vhost.vh.vcluster.vc.upstream_rq_time',
      'vhost_vcluster_upstream_rq_time{envoy_virtual_cluster="vc",envoy_virtual_host="vh"}',
    ],
    [
      'vhost.vh.route.rsp.upstream_rq_200',
      'vhost_route_upstream_rq{envoy_response_code="200",envoy_virtual_host="vh",envoy_route="rsp"}',
    ],
    [
      'cluster.up.grpc.S.M.total',
      'cluster_grpc_total{envoy_grpc_bridge_method="M",envoy_grpc_bridge_service="S",envoy_cluster_name="up"}',
    ],
    [
      'cluster.up.grpc.a.B.C.0',
      'cluster_grpc_C_0{envoy_grpc_bridge_method="B",envoy_grpc_bridge_service="a",envoy_cluster_name="up"}',
    ],
    ['cluster.up.grpc.total', 'cluster_grpc_total{envoy_cluster_name="up"}'],
    ['cluster.up.grpc-web.S.M.total', 'cluster_grpc-web_S_M_total{envoy_cluster_name="up"}'],
    ['server.concurrency', 'server_concurrency{}'],
  ])('%s', (full, series) => {
    const { name, tags } = tagStatName(full);
    const labels = tags.map(({ label, value }) => `${label}="${value}"`).join(',');
    expect(`${name.replaceAll('.', '_')}{${labels}}`).toBe(series);
  });

  it('finds domain and descriptor of a limit of the rate limit service', () => {
    expect(tagStatName('ratelimit_service.rate_limit.shop.path_/login.remote_address.over_limit')).toEqual({
      name: 'ratelimit_service.rate_limit.over_limit',
      tags: [
        { label: 'ratelimit_domain', value: 'shop' },
        { label: 'ratelimit_descriptor', value: 'path_/login.remote_address' },
      ],
    });
  });
});
