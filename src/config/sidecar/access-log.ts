import type * as v from 'valibot';
import { bool, list, message, nonEmptyString, oneof, optional, string, struct } from '../schema/building-blocks.ts';
import { either, isRecord, oneOrMany } from './units.ts';

/** Where a line of the access log goes, and how it looks. */
const Target = message(
  {
    /** `stdout`, `stderr`, or a file. */
    to: nonEmptyString(),
    /** Text with `%…%` operators; Envoy's default format without. */
    format: optional(string({ minLength: 1 })),
    /** One JSON object per line; `true` for a set of usual fields. */
    json: optional(either(struct(), bool(), (on) => (on ? USUAL_FIELDS : {}), isRecord)),
  },
  oneof(['format', 'json']),
);

export const AccessLogs = oneOrMany(
  either(Target, nonEmptyString(), (to) => ({ to }), isRecord),
  list(either(Target, nonEmptyString(), (to) => ({ to }), isRecord)),
);
export type AccessLogs = v.InferOutput<typeof AccessLogs>;

const USUAL_FIELDS: Record<string, unknown> = {
  time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration_ms: '%DURATION%',
  client: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  upstream: '%UPSTREAM_HOST%',
  request_id: '%REQ(X-REQUEST-ID)%',
};

/** The canonical access loggers. */
export function accessLogs(targets: AccessLogs): Record<string, unknown>[] {
  return targets.map(({ to, format, json }) => {
    const log_format =
      json === undefined || Object.keys(json).length === 0
        ? format === undefined
          ? undefined
          : { text_format_source: { inline_string: format.endsWith('\n') ? format : `${format}\n` } }
        : { json_format: json };
    const options = log_format === undefined ? {} : { log_format };
    if (to === 'stdout' || to === 'stderr') {
      const type = to === 'stdout' ? 'StdoutAccessLog' : 'StderrAccessLog';
      return {
        name: `envoy.access_loggers.${to}`,
        typed_config: { '@type': `type.googleapis.com/envoy.extensions.access_loggers.stream.v3.${type}`, ...options },
      };
    }
    return {
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
        path: to,
        ...options,
      },
    };
  });
}
