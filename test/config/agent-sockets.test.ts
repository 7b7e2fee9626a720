import { expect, test } from 'vitest';
import { builtinRegistry } from '../../filters/index.ts';
import { DOWNSTREAM_TLS } from '../../src/config/extensions.ts';
import type { Bootstrap } from '../../src/config/schema/bootstrap.ts';
import type { DownstreamTlsContext } from '../../src/config/schema/tls.ts';
import { validateBootstrap } from '../../src/config/validate.ts';

const PIPE = { pipe: { path: '/run/agent.sock' } };
const PORT = { socket_address: { address: '127.0.0.1', port_value: 1 } };

/** A listener whose certificate and trust come from the agent that is the cluster `agent`. */
function validate(cluster: string, address: object) {
  const secret = (name: string) => ({
    name,
    sds_config: {
      api_config_source: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: cluster } }],
      },
    },
  });
  const tls = {
    '@type': `type.googleapis.com/${DOWNSTREAM_TLS}`,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [secret('default')],
      combined_validation_context: { validation_context_sds_secret_config: secret('ALL') },
    },
  };
  const tcp = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: 't',
    cluster: 'agent',
  };
  const chain = {
    filters: [{ name: 'tcp', typed_config: tcp }],
    transport_socket: { name: 'tls', typed_config: tls },
  };
  return validateBootstrap(
    {
      static_resources: {
        listeners: [{ address: PORT, filter_chains: [chain] }],
        clusters: [
          {
            name: 'agent',
            load_assignment: { cluster_name: 'agent', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
          },
        ],
      },
    },
    builtinRegistry(),
  );
}

test('an agent that is a cluster is asked on its socket', () => {
  const bootstrap = validate('agent', PIPE) as Bootstrap;
  const socket = bootstrap.static_resources.listeners[0]?.filter_chains[0]?.transport_socket?.typed_config;
  const { common_tls_context: common } = (socket as { value: DownstreamTlsContext }).value;
  const secrets = [
    common.tls_certificate_sds_secret_configs[0],
    common.combined_validation_context?.validation_context_sds_secret_config,
  ];
  for (const secret of secrets) {
    expect(secret?.sds_config.api_config_source?.grpc_services[0]?.google_grpc?.target_uri).toBe(
      'unix:///run/agent.sock',
    );
  }
});

test('an agent that is no cluster, or listens on a port, is a mistake', () => {
  expect(validate('agnet', PIPE)).toMatchObject([
    { message: 'cluster "agnet" is not defined', suggestion: 'agent' },
    { message: 'cluster "agnet" is not defined', suggestion: 'agent' },
  ]);
  expect(validate('agent', PORT)).toMatchObject([
    { message: 'cluster "agent" is no agent on a Unix socket' },
    { message: 'cluster "agent" is no agent on a Unix socket' },
  ]);
});
