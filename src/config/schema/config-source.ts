import type * as v from 'valibot';
import {
  duration,
  enumOf,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  string,
  unsupported,
} from './building-blocks.ts';

/** envoy.config.core.v3: where resources come from that are not written in the configuration itself. */

/** envoy.config.core.v3.WatchedDirectory: files are read again when an entry of this folder is replaced. */
export const WatchedDirectory = message({ path: nonEmptyString() });
export type WatchedDirectory = v.InferOutput<typeof WatchedDirectory>;

/** envoy.config.core.v3.PathConfigSource: a file that holds a discovery response, and is followed. */
export const PathConfigSource = message({
  path: nonEmptyString(),
  watched_directory: optional(WatchedDirectory),
});
export type PathConfigSource = v.InferOutput<typeof PathConfigSource>;

/** envoy.config.core.v3.GrpcService to an agent on this machine. */
const AgentService = message(
  {
    /** A cluster whose endpoint is a pipe. */
    envoy_grpc: optional(message({ cluster_name: nonEmptyString(), authority: optional(string(), '') })),
    google_grpc: optional(
      message(
        {
          target_uri: string({
            pattern: /^unix:(\/\/)?\/[^\0]+$/,
            allowed: 'a Unix socket, as in unix:///run/spire/agent.sock',
          }),
          stat_prefix: nonEmptyString(),
        },
        unsupported(
          'the socket says who may connect',
          'channel_credentials',
          'call_credentials',
          'credentials_factory_name',
          'config',
          'per_stream_buffer_limit_bytes',
          'channel_args',
          'channel_credentials_plugin',
          'call_credentials_plugin',
        ),
      ),
    ),
  },
  oneof(['envoy_grpc', 'google_grpc'], { required: true }),
  unsupported('the call stays open, and is made again when it ends', 'timeout', 'initial_metadata', 'retry_policy'),
);

/**
 * envoy.config.core.v3.ApiConfigSource: a SPIFFE agent on a Unix socket. It is asked by the Workload API, which agents
 * serve on the socket on which they serve Envoy.
 */
export const ApiConfigSource = message(
  {
    api_type: enumOf(['GRPC', 'DELTA_GRPC'], {}),
    transport_api_version: optional(enumOf(['AUTO', 'V2', 'V3'], { V2: 'version 2 is gone' }), 'AUTO'),
    grpc_services: list(AgentService, { min: 1, max: 1 }),
  },
  unsupported(
    'agents send what is new by themselves',
    'cluster_names',
    'refresh_delay',
    'request_timeout',
    'rate_limit_settings',
    'set_node_on_first_message_only',
    'config_validators',
  ),
);
export type ApiConfigSource = v.InferOutput<typeof ApiConfigSource>;

/** envoy.config.core.v3.ConfigSource: files, which are read at once, and SPIFFE agents, which answer when they can. */
export const ConfigSource = message(
  {
    path_config_source: optional(PathConfigSource),
    api_config_source: optional(ApiConfigSource),
    initial_fetch_timeout: optional(duration(), '15s'),
    resource_api_version: optional(enumOf(['AUTO', 'V2', 'V3'], { V2: 'version 2 is gone' }), 'V3'),
  },
  unsupported('use path_config_source', 'path'),
  oneof(['path_config_source', 'api_config_source'], { required: true }),
  unsupported('it comes from files or a SPIFFE agent', 'ads', 'self', 'authorities'),
);
export type ConfigSource = v.InferOutput<typeof ConfigSource>;

/** envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig: a secret by its name in a file. */
export const SdsSecretConfig = message({ name: nonEmptyString(), sds_config: ConfigSource });
export type SdsSecretConfig = v.InferOutput<typeof SdsSecretConfig>;
