import type * as v from 'valibot';
import {
  bool,
  check,
  double,
  enumOf,
  headerName,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
} from '../src/config/schema/building-blocks.ts';
import { either, isRecord } from '../src/config/sidecar/units.ts';
import { serviceAddress, time } from './fields.ts';
import { type Canonical, type PolicyKind, typed } from './policy.ts';
import { serviceCluster } from './service-cluster.ts';

const Tag = either(
  message(
    { value: optional(nonEmptyString()), header: optional(headerName()), default: optional(string(), '') },
    oneof(['value', 'header'], { required: true }),
  ),
  nonEmptyString(),
  (value) => ({ value, default: '' }),
  isRecord,
);
type Tag = v.InferOutput<typeof Tag>;

const Spec = message({
  /** Share of the requests whose trace nobody has begun, %. */
  sampling: optional(double({ min: 0, max: 100 }), 1),
  /** The service's name in its spans. */
  service: nonEmptyString(),
  otlp: message(
    {
      address: serviceAddress(),
      protocol: optional(enumOf(['GRPC', 'HTTP']), 'GRPC'),
      /** Of HTTP. */
      path: optional(string({ pattern: /^\//, allowed: '/…' })),
      timeout: optional(time(), '1s'),
    },
    check((otlp) =>
      otlp.protocol === 'GRPC' && otlp.path !== undefined
        ? new Problem('needs protocol: HTTP', { path: ['path'] })
        : undefined,
    ),
  ),
  tags: optional(mapOf(Tag), {}),
  /** A span for the call upstream beside that for the request. */
  upstream_span: optional(bool(), false),
});
type Spec = v.InferOutput<typeof Spec>;

/** ⑤ Request tracing. Table 2: in L4/L7 headers, out nothing, no state. */
export const tracing: PolicyKind<Spec> = {
  kind: 'Tracing',
  summary: 'requests carry a trace, and their spans go to a collector',
  spec: Spec,
  semantics: {
    paper: 5,
    input: 'L4 and L7 headers',
    output: 'none',
    pure: true,
    state: { kept: 'none', what: 'finished spans wait in a bounded queue: no request depends on them' },
    payload: 'none',
    placement: 'either',
    usualSide: 'receiver',
    granularity: 'function',
  },
  refusal: () => undefined,
  compile({ spec, metadata }, side) {
    const cluster = `tracing.${metadata.namespace}.${metadata.name}`;
    const isGrpc = spec.otlp.protocol === 'GRPC';
    const uri = `http://${hostOf(spec.otlp.address)}${spec.otlp.path ?? '/v1/traces'}`;
    const service = isGrpc
      ? { grpc_service: { envoy_grpc: { cluster_name: cluster }, timeout: spec.otlp.timeout } }
      : { http_service: { http_uri: { uri, cluster, timeout: spec.otlp.timeout } } };
    const tags = Object.entries(spec.tags).map(([tag, value]) => customTag(tag, value));
    return {
      listener: { traffic_direction: side === 'sender' ? 'OUTBOUND' : 'INBOUND' },
      manager: {
        tracing: {
          random_sampling: { value: spec.sampling },
          ...(spec.upstream_span ? { spawn_upstream_span: true } : {}),
          ...(tags.length === 0 ? {} : { custom_tags: tags }),
          provider: {
            name: 'envoy.tracers.opentelemetry',
            typed_config: typed('envoy.config.trace.v3.OpenTelemetryConfig', {
              ...service,
              service_name: spec.service,
            }),
          },
        },
      },
      clusters: [serviceCluster(cluster, { address: spec.otlp.address, isHttp2: isGrpc })],
    };
  },
};

function customTag(tag: string, { value, header, default: fallback }: Tag): Canonical {
  if (value !== undefined) return { tag, literal: { value } };
  return { tag, request_header: { name: header, ...(fallback === '' ? {} : { default_value: fallback }) } };
}

function hostOf(target: v.InferOutput<typeof Spec>['otlp']['address']): string {
  if ('pipe' in target) return 'localhost';
  const { address: host, port_value: port } = target.socket_address;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
