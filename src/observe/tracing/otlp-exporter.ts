import type { OpenTelemetryConfig } from '../../config/schema/tracing.ts';
import { type Calls, GrpcError } from '../../filter/calls.ts';
import { GRPC } from '../../http/grpc/status.ts';
import { toByteString } from '../format/escape.ts';
import { OtlpEncoder, type SpanOrigin } from './otlp-encoder.ts';
import type { SendOutcome, SendSpans } from './span-queue.ts';

const EXPORT_METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
const GRPC_TIMEOUT_MS = 5000;

/** Statuses after which the same spans may be sent again (OTLP 1.x, "Failures": gRPC and HTTP). */
const RETRIABLE_HTTP = new Set([429, 502, 503, 504]);
const ABORTED = 10;
const OUT_OF_RANGE = 11;
const DATA_LOSS = 15;
const RETRIABLE_GRPC: ReadonlySet<number> = new Set([
  GRPC.CANCELLED,
  GRPC.DEADLINE_EXCEEDED,
  GRPC.RESOURCE_EXHAUSTED,
  ABORTED,
  OUT_OF_RANGE,
  GRPC.UNAVAILABLE,
  DATA_LOSS,
]);

/** Sends batches to an OTLP collector, as the configuration says: over gRPC, or over HTTP with a protobuf body. */
export function otlpSender(config: OpenTelemetryConfig, origin: SpanOrigin, calls: Calls): SendSpans {
  const encoder = new OtlpEncoder(origin);
  if (config.grpc_service !== undefined) return grpcSender(config.grpc_service, encoder, calls);
  return httpSender(config.http_service as NonNullable<OpenTelemetryConfig['http_service']>, encoder, calls);
}

function httpSender(
  config: NonNullable<OpenTelemetryConfig['http_service']>,
  encoder: OtlpEncoder,
  calls: Calls,
): SendSpans {
  const { uri, cluster, timeout: timeoutMs } = config.http_uri;
  const { authority, path } = splitUri(uri);
  const headers: (readonly [string, string])[] = [['content-type', 'application/x-protobuf']];
  for (const { header } of config.request_headers_to_add)
    headers.push([header.key.toLowerCase(), header.raw_value?.toString('latin1') ?? toByteString(header.value)]);
  return async (spans) => {
    try {
      const body = encoder.encode(spans);
      const response = await calls.request(cluster, { method: 'POST', path, authority, headers, body, timeoutMs });
      if (response.status >= 200 && response.status < 300) return 'sent';
      return RETRIABLE_HTTP.has(response.status) ? 'failed' : 'refused';
    } catch {
      return 'failed';
    }
  };
}

function grpcSender(
  config: NonNullable<OpenTelemetryConfig['grpc_service']>,
  encoder: OtlpEncoder,
  calls: Calls,
): SendSpans {
  const { cluster_name: cluster, authority } = config.envoy_grpc;
  const metadata = config.initial_metadata.map(
    (header) => [header.key.toLowerCase(), header.raw_value?.toString('latin1') ?? toByteString(header.value)] as const,
  );
  const options = {
    timeoutMs: config.timeout === undefined || config.timeout === 0 ? GRPC_TIMEOUT_MS : config.timeout,
    ...(authority === '' ? {} : { authority }),
    ...(metadata.length === 0 ? {} : { metadata }),
  };
  return async (spans) => {
    try {
      await calls.unary(cluster, EXPORT_METHOD, encoder.encode(spans), options);
      return 'sent';
    } catch (error) {
      return outcomeOf(error);
    }
  };
}

function outcomeOf(error: unknown): SendOutcome {
  return error instanceof GrpcError && !RETRIABLE_GRPC.has(error.status) ? 'refused' : 'failed';
}

/** Authority and path of an absolute URI; the schema has checked it. */
function splitUri(uri: string): { authority: string; path: string } {
  const start = uri.indexOf('//') + 2;
  const slash = uri.indexOf('/', start);
  return slash < 0
    ? { authority: uri.slice(start), path: '/' }
    : { authority: uri.slice(start, slash), path: uri.slice(slash) };
}
