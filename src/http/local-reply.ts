import { encodeGrpcMessage } from './grpc/message.ts';
import { httpToGrpcStatus } from './grpc/status.ts';
import type { ResponseHead } from './message.ts';
import type { StreamCore } from './stream-core.ts';

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
    // A mapper may have set one.
    if (!head.has('grpc-status')) head.set('grpc-status', String(grpcStatus ?? httpToGrpcStatus(head.status)));
    head.status = 200;
    head.set('content-type', 'application/grpc');
    // The line feed behind JSON belongs to the body that there is not.
    const said = rewritten?.contentType === 'application/json' && text.endsWith('\n') ? text.slice(0, -1) : text;
    if (said !== '' && stream.request.method !== 'HEAD') head.set('grpc-message', encodeGrpcMessage(said));
    return '';
  }
  if (text !== '' && !head.has('content-type')) head.append('content-type', rewritten?.contentType ?? 'text/plain');
  return text;
}
