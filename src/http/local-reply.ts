import type { ResponseHead } from './message.ts';
import type { StreamCore } from './stream-core.ts';

/** gRPC status for an HTTP status (gRPC's http-grpc-status-mapping). */
function grpcStatusOf(status: number): number {
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

/**
 * Fills `head` for an answer of the proxy itself and returns its body. gRPC requests get a trailers-only response:
 * status 200 with grpc-status and the body as grpc-message. Then the manager's `local_reply_config` applies.
 */
export function localReplyHead(
  stream: StreamCore,
  head: ResponseHead,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> | undefined,
  grpcStatus: number | undefined,
): string {
  head.reset('');
  head.present = 0;
  head.status = status;
  for (const name in headers) head.add(name, headers[name] as string);
  // A route to a cluster puts its headers on whatever is said in the cluster's place; other routes have done so already.
  if (stream.routeEntry?.leadsUpstream === true) stream.routeEntry.finalizeResponse(head, stream);
  if (stream.isGrpc) {
    head.status = 200;
    head.add('content-type', 'application/grpc');
    head.add('grpc-status', String(grpcStatus ?? grpcStatusOf(status)));
    if (body !== '') head.add('grpc-message', encodeURIComponent(body).replaceAll('%20', ' '));
    return '';
  }
  stream.responseCode = status;
  const rewritten = stream.manager.rewriteLocalReply?.(stream, head, body);
  const text = rewritten?.body ?? body;
  if (text !== '' && !head.has('content-type')) head.append('content-type', rewritten?.contentType ?? 'text/plain');
  return text;
}
