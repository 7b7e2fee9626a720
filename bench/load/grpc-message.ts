/** Compressed flag and length stand before every gRPC message (gRPC over HTTP/2, Length-Prefixed-Message). */
export const GRPC_PREFIX_BYTES = 5;

/** A message of `payloadBytes`, not compressed, with its prefix. */
export function grpcMessage(payloadBytes: number): Buffer {
  const message = Buffer.alloc(GRPC_PREFIX_BYTES + payloadBytes, 'x');
  message[0] = 0;
  message.writeUInt32BE(payloadBytes, 1);
  return message;
}
