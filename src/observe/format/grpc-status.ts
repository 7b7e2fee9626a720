import { isGrpcContentType } from '../../http/grpc/content-type.ts';
import { GRPC_NAMES, httpToGrpcStatus, parseGrpcStatus } from '../../http/grpc/status.ts';
import type { StreamInfo } from '../stream-info.ts';

/** The names of the status codes in the spelling that %GRPC_STATUS% prints by default: `NotFound`. */
export const GRPC_CAMEL_NAMES: readonly string[] = GRPC_NAMES.map(camelName);

/** Envoy spells one of them differently here. */
function camelName(name: string): string {
  if (name === 'OK') return name;
  if (name === 'CANCELLED') return 'Canceled';
  return name.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The gRPC status of a call: from trailers, headers or the HTTP status; undefined when the request is no call. */
export function grpcStatusOf(info: StreamInfo): number | undefined {
  if (!isGrpcContentType(info.request?.get('content-type') ?? '')) return undefined;
  return info.responseCode === 0 && explicitStatus(info) === undefined ? undefined : sentGrpcStatusOf(info);
}

/** The same for any stream: unknown (2) where nothing tells. */
export function sentGrpcStatusOf(info: StreamInfo): number {
  return explicitStatus(info) ?? httpToGrpcStatus(info.responseCode);
}

function explicitStatus(info: StreamInfo): number | undefined {
  return parseGrpcStatus(info.responseTrailers?.get('grpc-status') ?? info.response?.get('grpc-status'));
}
