import type { StreamInfo } from '../stream-info.ts';

/** The status codes of gRPC by number (grpc/doc/statuscodes.md). */
export const GRPC_NAMES: readonly string[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
/** The same in the spelling that %GRPC_STATUS% prints by default: `NotFound`. */
export const GRPC_CAMEL_NAMES: readonly string[] = GRPC_NAMES.map((code) =>
  code === 'OK' ? code : code.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
);

/** HTTP status to gRPC status for responses without a grpc-status (grpc/doc/http-grpc-status-mapping.md). */
const HTTP_TO_GRPC: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};

/** The gRPC status of a gRPC stream: from trailers, headers or the HTTP status; undefined when it is no gRPC. */
export function grpcStatusOf(info: StreamInfo): number | undefined {
  const type = info.request?.get('content-type');
  if (type === undefined || !/^application\/grpc(?:$|[+;])/.test(type)) return undefined;
  return info.responseCode === 0 && explicitStatus(info) === undefined ? undefined : sentGrpcStatusOf(info);
}

/** The same for any stream: unknown (2) where nothing tells. */
export function sentGrpcStatusOf(info: StreamInfo): number {
  return explicitStatus(info) ?? HTTP_TO_GRPC[info.responseCode] ?? 2;
}

function explicitStatus(info: StreamInfo): number | undefined {
  const text = info.responseTrailers?.get('grpc-status') ?? info.response?.get('grpc-status');
  if (text === undefined) return undefined;
  // -1 is Envoy's number for what is no status.
  return /^\d{1,9}$/.test(text) ? Number(text) : -1;
}

/** Number of a gRPC status by its name, as `grpc_status_filter` has it; undefined when there is no such name. */
export function grpcStatusNumber(name: string): number | undefined {
  const number = GRPC_NAMES.indexOf(name === 'CANCELED' ? 'CANCELLED' : name);
  return number < 0 ? undefined : number;
}
