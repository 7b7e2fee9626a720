import type { HeaderMap } from '../headers.ts';
import { KNOWN, nameOf } from './header-names.ts';

/** Headers that `Connection` may not name: whoever could have them removed could change what a policy sees. */
const NOT_NOMINABLE = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'authorization',
  'cookie',
  'content-type',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-client-cert',
]);

/** More nominated headers than this are refused: each costs a search (Envoy's bound). */
const MAX_NOMINATED = 10;

export const CONNECTION = { CLOSE: 1, KEEP_ALIVE: 2, UPGRADE: 4, REFUSED: 8, NOMINATED: 16 } as const;

/**
 * Reads all Connection lines: a bit set of `CONNECTION`. Headers that it nominates are removed (RFC 9110 §7.6.1), which
 * NOMINATED tells; REFUSED when it nominates one that must not be, or too many.
 */
export function readConnection(headers: HeaderMap, first: number): number {
  let bits = 0;
  let nominated = 0;
  for (let i = first; i >= 0; i = headers.indexOf('connection', i + 1)) {
    const value = headers.valueAt(i);
    if (value === 'keep-alive' || value === 'Keep-Alive') bits |= CONNECTION.KEEP_ALIVE;
    else if (value === 'close') bits |= CONNECTION.CLOSE;
    else {
      for (const token of value.split(',')) {
        const bit = readToken(headers, token.trim().toLowerCase());
        if (bit === CONNECTION.NOMINATED && ++nominated > MAX_NOMINATED) return CONNECTION.REFUSED;
        bits |= bit;
      }
    }
  }
  return bits;
}

function readToken(headers: HeaderMap, token: string): number {
  switch (token) {
    case '':
      return 0;
    case 'close':
      return CONNECTION.CLOSE;
    case 'keep-alive':
      return CONNECTION.KEEP_ALIVE;
    case 'upgrade':
      return CONNECTION.UPGRADE;
    case 'te':
      return 0;
  }
  if (NOT_NOMINABLE.has(token)) return CONNECTION.REFUSED;
  remove(headers, token);
  return CONNECTION.NOMINATED;
}

/** `Proxy-Connection: close`, which old clients and servers say instead of `Connection: close`. */
export function proxyConnectionCloses(headers: HeaderMap, present: number): boolean {
  return (present & (1 << KNOWN.PROXY_CONNECTION)) !== 0 && headers.get('proxy-connection')?.toLowerCase() === 'close';
}

const HOP_BY_HOP =
  (1 << KNOWN.CONNECTION) |
  (1 << KNOWN.KEEP_ALIVE) |
  (1 << KNOWN.PROXY_CONNECTION) |
  (1 << KNOWN.TRANSFER_ENCODING) |
  (1 << KNOWN.UPGRADE) |
  (1 << KNOWN.TE);

/** Removes what concerns one hop only. `present` tells which of them can be there at all. */
export function removeHopByHop(headers: HeaderMap, present: number, keepUpgrade: boolean): void {
  if ((present & HOP_BY_HOP) === 0) return;
  if (present & (1 << KNOWN.CONNECTION)) remove(headers, 'connection');
  if (present & (1 << KNOWN.KEEP_ALIVE)) remove(headers, 'keep-alive');
  if (present & (1 << KNOWN.PROXY_CONNECTION)) remove(headers, 'proxy-connection');
  if (present & (1 << KNOWN.TRANSFER_ENCODING)) remove(headers, 'transfer-encoding');
  if (present & (1 << KNOWN.UPGRADE) && !keepUpgrade) remove(headers, 'upgrade');
  if (present & (1 << KNOWN.TE)) keepTrailersOnly(headers);
}

/** `te: trailers` may pass, nothing else of TE (RFC 9110 §10.1.4, as HTTP/2 has it). */
function keepTrailersOnly(headers: HeaderMap): void {
  const value = headers.get('te')?.toLowerCase() ?? '';
  if (value === 'trailers') return;
  if (/(^|,)\s*trailers\s*(,|$)/.test(value)) headers.set('te', 'trailers');
  else remove(headers, 'te');
}

/** `present` after Connection had headers removed: bits of those that are gone are gone too. */
export function stillPresent(headers: HeaderMap, present: number): number {
  let left = present;
  for (let id = 1; id <= KNOWN.X_FORWARDED_CLIENT_CERT; id++) {
    if (present & (1 << id) && headers.indexOf(nameOf(id)) < 0) left &= ~(1 << id);
  }
  return left;
}

function remove(headers: HeaderMap, name: string): void {
  for (let i = headers.indexOf(name); i >= 0; i = headers.indexOf(name, i + 1)) headers.names[i] = '';
}
