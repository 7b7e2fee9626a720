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

/** What a grpc-message must not hold as it is (the gRPC protocol's Status-Message). */
const MESSAGE_ESCAPES = /[^ -$&-}]/g;

function percentEncode(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** What the route adds to responses, it adds to replies too; a redirect or a direct response only to its own (as in Envoy). */
function addRouteHeaders(stream: StreamCore, head: ResponseHead): void {
  const route = stream.routeEntry;
  if (route === undefined) return;
  if (route.leadsUpstream || stream.responseCodeDetails === 'direct_response') route.finalizeResponse(head, stream);
}

/**
 * Fills `head` for an answer of the proxy itself and returns its body: the route's headers, then what the manager's
 * `local_reply_config` makes of it. gRPC requests get a trailers-only response: status 200 with grpc-status and the
 * body as grpc-message.
 *
 * @param body latin1 text, one character per byte
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
  addRouteHeaders(stream, head);
  stream.responseCode = status;
  const rewritten = stream.manager.rewriteLocalReply?.(stream, head, body);
  const text = rewritten?.body ?? body;
  if (stream.isGrpc) {
    head.set('grpc-status', String(grpcStatus ?? grpcStatusOf(head.status)));
    head.status = 200;
    head.set('content-type', 'application/grpc');
    if (text !== '') head.set('grpc-message', text.replace(MESSAGE_ESCAPES, percentEncode));
    return '';
  }
  if (text !== '' && !head.has('content-type')) head.append('content-type', rewritten?.contentType ?? 'text/plain');
  return text;
}
