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

/** The numbers that the proxy itself speaks of. */
export const GRPC = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

/** Number of a status that is no number, as Envoy has it. */
export const INVALID_GRPC_STATUS = -1;

/** Number of a gRPC status by its name, or the older CANCELED; undefined when there is no such name. */
export function grpcStatusNumber(name: string): number | undefined {
  const number = GRPC_NAMES.indexOf(name === 'CANCELED' ? 'CANCELLED' : name);
  return number < 0 ? undefined : number;
}

/** Number in a `grpc-status` header; -1 when it is none, undefined without the header. */
export function parseGrpcStatus(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text === '0') return GRPC.OK;
  return /^\d{1,9}$/.test(text) ? Number(text) : INVALID_GRPC_STATUS;
}

/** gRPC status for an HTTP status of a response that has none (grpc/doc/http-grpc-status-mapping.md). */
export function httpToGrpcStatus(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

const HTTP_STATUS: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** HTTP status that a gRPC status is worth to health and outlier figures (Envoy's Grpc::Utility::grpcToHttpStatus). */
export function grpcToHttpStatus(status: number): number {
  return HTTP_STATUS[status] ?? 500;
}

/** True when a call that ended with this `grpc-status` speaks for its server: an error of the caller does, too. */
export function isServerSuccess(grpcStatus: string | undefined): boolean {
  const status = parseGrpcStatus(grpcStatus);
  return status !== undefined && grpcToHttpStatus(status) < 500;
}
