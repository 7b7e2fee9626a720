import type * as v from 'valibot';
import { duration, enumOf, message, nonEmptyString, optional, unsupported } from './building-blocks.ts';

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

/** envoy.config.core.v3.ConfigSource: files only. They are read at once, so nothing is waited for. */
export const ConfigSource = message(
  {
    path_config_source: PathConfigSource,
    initial_fetch_timeout: optional(duration(), '15s'),
    resource_api_version: optional(enumOf(['AUTO', 'V2', 'V3'], { V2: 'version 2 is gone' }), 'V3'),
  },
  unsupported('use path_config_source', 'path'),
  unsupported('it comes from files: use path_config_source', 'api_config_source', 'ads', 'self', 'authorities'),
);
export type ConfigSource = v.InferOutput<typeof ConfigSource>;

/** envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig: a secret by its name in a file. */
export const SdsSecretConfig = message({ name: nonEmptyString(), sds_config: ConfigSource });
export type SdsSecretConfig = v.InferOutput<typeof SdsSecretConfig>;
