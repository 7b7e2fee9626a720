import { type CallFailure, type CallHeaders, GrpcError } from '../../filter/calls.ts';
import type { HeaderMap } from '../headers.ts';
import { RequestHead, type ResponseHead } from '../message.ts';
import { isGrpcContentType } from './content-type.ts';
import { decodeGrpcMessage } from './message.ts';
import { GRPC, httpToGrpcStatus, parseGrpcStatus } from './status.ts';
import { grpcTimeout } from './timeout.ts';

/** Flag and length before each message on the wire (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

/** The head of a call's request. It may be sent again and again. */
export function unaryHead(
  path: string,
  authority: string,
  timeoutMs: number,
  metadata: CallHeaders | undefined,
): RequestHead {
  const head = new RequestHead();
  head.method = 'POST';
  head.path = path;
  head.authority = authority;
  head.protocol = 'HTTP/2';
  head.append('te', 'trailers');
  head.append('content-type', 'application/grpc');
  head.append('grpc-timeout', grpcTimeout(timeoutMs));
  if (metadata !== undefined) for (const [name, value] of metadata) head.add(name, value);
  return head;
}

/** A message behind its length prefix. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

/**
 * The one message of a response.
 * @throws GrpcError for a call that did not succeed, and for a response that is none
 */
export function readUnaryResponse(head: ResponseHead, trailers: HeaderMap | undefined, body: Buffer): Buffer {
  // Without a body the status may lie in the head ("Trailers-Only").
  const status = parseGrpcStatus(trailers?.get('grpc-status') ?? head.get('grpc-status'));
  if (status === undefined) throw missingStatus(head);
  if (status !== GRPC.OK) {
    const text = trailers?.get('grpc-message') ?? head.get('grpc-message') ?? '';
    throw new GrpcError(status < 0 ? GRPC.UNKNOWN : status, decodeGrpcMessage(text));
  }
  return readMessage(body);
}

/** The one message of a body. @throws GrpcError */
export function readMessage(body: Buffer): Buffer {
  if (body.length < PREFIX_BYTES || body.length !== PREFIX_BYTES + body.readUInt32BE(1))
    throw new GrpcError(GRPC.INTERNAL, 'the body is not exactly one message');
  if (body[0] !== 0) throw new GrpcError(GRPC.INTERNAL, 'the message is compressed, which nobody asked for');
  return body.subarray(PREFIX_BYTES);
}

function missingStatus(head: ResponseHead): GrpcError {
  if (head.status !== 200) return new GrpcError(httpToGrpcStatus(head.status), `HTTP status ${head.status}`);
  const type = head.get('content-type') ?? '';
  const why = isGrpcContentType(type) ? 'no grpc-status' : `content-type ${JSON.stringify(type)}`;
  return new GrpcError(GRPC.UNKNOWN, `the response has ${why}`);
}

/** The status of a call that has no response. */
export function statusOfFailure(reason: CallFailure): number {
  switch (reason) {
    case 'timeout':
      return GRPC.DEADLINE_EXCEEDED;
    case 'cancelled':
      return GRPC.CANCELLED;
    case 'response_too_large':
      return GRPC.RESOURCE_EXHAUSTED;
    case 'invalid_request':
      return GRPC.INTERNAL;
    default:
      return GRPC.UNAVAILABLE;
  }
}
