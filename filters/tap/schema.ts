import type * as v from 'valibot';
import {
  bool,
  check,
  headerName,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  uint32,
  unsupported,
} from '../../src/config/schema/building-blocks.ts';
import { TapConfig } from '../../src/config/schema/tap.ts';

/** envoy.extensions.common.tap.v3.CommonExtensionConfig. */
const CommonConfig = message(
  {
    admin_config: optional(message({ config_id: nonEmptyString() })),
    static_config: optional(TapConfig),
  },
  oneof(['admin_config', 'static_config', 'tapds_config'], { required: true }),
  unsupported('configuration is not discovered yet, write static_config', 'tapds_config'),
  check((config) => {
    const [sink] = config.static_config?.output_config.sinks ?? [];
    if (sink === undefined || sink.file_per_tap !== undefined) return undefined;
    return new Problem('is only for taps that POST /tap configures', {
      path: ['static_config', 'output_config', 'sinks', 0],
      allowed: 'file_per_tap',
    });
  }),
);

/** What Envoy does not have: which values are secret, and how many files there may be. */
const OwnOptions = message({
  /** Headers whose values are not shown, besides those that are known for secrets. */
  secret_headers: optional(list(headerName()), []),
  /** Query and form parameters, likewise. */
  secret_parameters: optional(list(nonEmptyString()), []),
  /** Writes secrets as they are. */
  show_secrets: optional(bool(), false),
  /** Files of a `path_prefix`, those of earlier runs included. */
  max_files: optional(uint32({ min: 1 }), 1000),
});
export type OwnOptions = v.InferOutput<typeof OwnOptions>;

/** envoy.extensions.filters.http.tap.v3.Tap, and under `outrigger` what Envoy does not have. */
export const Tap = message({
  common_config: CommonConfig,
  record_headers_received_time: optional(bool(), false),
  record_downstream_connection: optional(bool(), false),
  record_upstream_connection: optional(bool(), false),
  outrigger: optional(OwnOptions, {}),
});
export type Tap = v.InferOutput<typeof Tap>;
