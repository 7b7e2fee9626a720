/** What a grpc-message must not hold as it is: all but printable ASCII, and the percent sign (Status-Message in the gRPC protocol). Envoy escapes the tilde too. */
const ESCAPES = /[^ -$&-}]/g;

/** @param text latin1, one character per byte */
export function encodeGrpcMessage(text: string): string {
  return text.replace(ESCAPES, percentEncode);
}

function percentEncode(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
