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
  const grpcStatus = isGrpc ? head.get('grpc-status') : undefined;
  endpoint.onResponseHead(
    head,
    grpcStatus === undefined ? status : grpcToHttpStatus(parseGrpcStatus(grpcStatus) ?? -1),
  );
  if (status >= 500) endpoint.stats.countOutcome(false);
  else if (!isGrpc) endpoint.stats.countOutcome(true);
  else if (endStream) endpoint.stats.countOutcome(isServerSuccess(grpcStatus));
}
