import type { Connection } from './connection.ts';

/** What a Unix socket without a name has in the place of an address. */
export const UNNAMED = '@';

/** `ip:port` of our side of a connection; `UNNAMED` over a Unix socket. */
export function localEndOf({ localAddress, localPort }: Connection): string {
  if (localAddress === '') return UNNAMED;
  return localAddress.includes(':') ? `[${localAddress}]:${localPort}` : `${localAddress}:${localPort}`;
}
