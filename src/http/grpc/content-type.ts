/** `application/grpc` and `application/grpc+proto`, but not `application/grpc-web`. */
export function isGrpcContentType(contentType: string): boolean {
  if (!contentType.startsWith('application/grpc')) return false;
  return contentType.length === 16 || contentType.charCodeAt(16) === 43;
}
