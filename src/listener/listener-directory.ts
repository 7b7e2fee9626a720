import net from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ListenerSocket } from './listener-socket.ts';

const ANY_IPV4 = '0.0.0.0';
const ANY_IPV6 = '::';

/** The listeners of one thread by their addresses, for connections whose original destination is another listener's. */
export class ListenerDirectory {
  private sockets: ReadonlyMap<string, ListenerSocket> = new Map();

  /** All listeners from now on. */
  replace(sockets: Iterable<ListenerSocket>): void {
    const next = new Map<string, ListenerSocket>();
    for (const socket of sockets) {
      if (socket.address.port === undefined) continue;
      const { port } = socket.bound();
      const host = canonical(socket.address.host);
      next.set(key(host, port), socket);
      if (host === ANY_IPV6 && socket.takesIpv4) next.set(key(ANY_IPV4, port), socket);
    }
    this.sockets = next;
  }

  /** The listener at an address: the one that has just this address, else the one that has its port at any address. */
  find(address: string, port: number): ListenerSocket | undefined {
    return this.sockets.get(key(address, port)) ?? this.sockets.get(key(anyOf(address), port));
  }

  /**
   * Whether a connection to this address would come in at one of our own sockets that sends connections on to where
   * they wanted to go: for ever, if nobody stops it.
   *
   * @param here the accepting socket's own address
   */
  leadsBack(address: string, port: number, here: string): boolean {
    const exact = this.sockets.get(key(address, port));
    if (exact !== undefined) return exact.isBound && exact.restoresDestinations;
    const wildcard = this.sockets.get(key(anyOf(address), port));
    return wildcard?.isBound === true && wildcard.restoresDestinations && (address === here || isOurs(address));
  }
}

function key(address: string, port: number): string {
  return `${address} ${port}`;
}

function anyOf(address: string): string {
  return address.includes(':') ? ANY_IPV6 : ANY_IPV4;
}

/** The one spelling that an IPv6 address has elsewhere (RFC 5952). */
function canonical(host: string): string {
  // Not imported by name: Node loads what SocketAddress needs with it, which no start-up snapshot can hold.
  return net.isIP(host) === 6 ? new net.SocketAddress({ address: host, family: 'ipv6' }).address : host;
}

/** Asked only of connections to a port that is ours: interfaces and their addresses come and go. */
function isOurs(address: string): boolean {
  // All of 127.0.0.0/8 is this machine; the unspecified addresses are, too, to connect(2).
  if (address.startsWith('127.') || address === ANY_IPV4 || address === ANY_IPV6) return true;
  for (const ends of Object.values(networkInterfaces())) {
    if (ends?.some((end) => end.address === address)) return true;
  }
  return false;
}
