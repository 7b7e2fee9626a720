import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { grpcToHttpStatus, isServerSuccess, parseGrpcStatus } from './grpc/status.ts';
import type { ResponseHead } from './message.ts';

/** Counts what the head of a response says of its endpoint, and of the cluster. A call says the rest in its trailers. */
export function countResponseHead(
  cluster: Cluster,
  endpoint: Endpoint,
  head: ResponseHead,
  endStream: boolean,
  isGrpc: boolean,
): void {
  const { status } = head;
  cluster.stats.countResponse(status);
  endpoint.onResponseHead(head, outcomeStatus(head, isGrpc));
  if (status >= 500) endpoint.stats.countOutcome(false);
  else if (!isGrpc) endpoint.stats.countOutcome(true);
  else if (endStream) endpoint.stats.countOutcome(isServerSuccess(head.get('grpc-status')));
}

/** The status of a response, or what its gRPC status is worth where the head has one. */
export function outcomeStatus(head: ResponseHead, isGrpc: boolean): number {
  const grpcStatus = isGrpc ? parseGrpcStatus(head.get('grpc-status')) : undefined;
  return grpcStatus === undefined ? head.status : grpcToHttpStatus(grpcStatus);
}
