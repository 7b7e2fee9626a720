/** What a grpc-message must not hold as it is: all but printable ASCII, and the percent sign (Status-Message in the gRPC protocol). Envoy escapes the tilde too. */
const ESCAPES = /[^ -$&-}]/g;

/** @param text latin1, one character per byte */
export function encodeGrpcMessage(text: string): string {
  return text.replace(ESCAPES, percentEncode);
}

function percentEncode(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** A `grpc-message` as text; what is not well escaped stays as it is. */
export function decodeGrpcMessage(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
