import type { HeaderMap } from './headers.ts';
import { httpDate } from './http-date.ts';
import { KNOWN } from './http1/header-names.ts';
import type { ResponseHead } from './message.ts';
import type { StreamCore } from './stream-core.ts';

/** What the connection manager does to every response head before it is written: server, date, request id, via. */
export function mutateResponse(stream: StreamCore, head: ResponseHead): void {
  const { settings } = stream.manager;
  const { present } = head;
  switch (settings.serverHeader) {
    case 'OVERWRITE':
      setKnown(head, present, KNOWN.SERVER, 'server', settings.serverName);
      break;
    case 'APPEND_IF_ABSENT':
      if (!head.has('server')) head.append('server', settings.serverName);
      break;
  }
  if ((present & (1 << KNOWN.DATE)) === 0 && !head.has('date')) head.append('date', httpDate());
  if (settings.via !== '') appendVia(head, settings.via);
  const { request } = stream;
  if (settings.alwaysSetRequestIdInResponse || (request.hasEnvoyHeaders && request.has('x-envoy-force-trace'))) {
    const id = request.get('x-request-id');
    if (id !== undefined) head.set('x-request-id', id);
  }
}

/** Adds this hop to Via (RFC 9110 §7.6.3), in the line that is there. */
export function appendVia(head: HeaderMap, via: string): void {
  const before = head.get('via');
  head.set('via', before ? `${before}, ${via}` : via);
}

function setKnown(head: ResponseHead, present: number, known: number, name: string, value: string): void {
  if (present & (1 << known)) head.set(name, value);
  else if (head.changed) head.set(name, value);
  else head.append(name, value);
}
