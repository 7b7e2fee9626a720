import net from 'node:net';
import { type Libc, libc } from './libc.ts';

/** An end of a connection. */
export interface IpEnd {
  /** Without brackets. */
  readonly address: string;
  readonly port: number;
}

const SOL_IP = 0;
const SOL_IPV6 = 41;
/** SO_ORIGINAL_DST of linux/netfilter_ipv4.h; IP6T_SO_ORIGINAL_DST of netfilter_ipv6 has the same number. */
const SO_ORIGINAL_DST = 80;
const IP_TRANSPARENT = 19;
const IPV6_TRANSPARENT = 75;
/** sizeof(struct sockaddr_in6), which sockaddr_in fits into. */
const ADDRESS_BYTES = 28;

const address = Buffer.alloc(ADDRESS_BYTES);
const length = new Uint32Array(1);
const flag = new Int32Array(1);

/**
 * Where the client of an accepted connection wanted to go before iptables redirected it to us: the kernel's connection
 * tracking knows. A connection that TPROXY brought has that address as its local one. Undefined where nobody
 * redirected it, and where libc cannot be reached.
 *
 * @param fd of the connection
 * @param local its own end, as the socket says (an IPv4 client of an IPv6 socket as `::ffff:…`)
 */
export function originalDestination(fd: number, local: IpEnd): IpEnd | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const isIpv6 = local.address.includes(':') && !local.address.startsWith('::ffff:');
  length[0] = ADDRESS_BYTES;
  if (c.getsockopt(fd, isIpv6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, address, length) === 0) return parse(isIpv6);
  return isTransparent(c, fd, isIpv6) ? local : undefined;
}

/** Whether the kernel can tell original destinations to this process at all. */
export function canAskForDestinations(): boolean {
  return libc() !== undefined;
}

/** Accepted sockets have it from the listening one. */
function isTransparent(c: Libc, fd: number, isIpv6: boolean): boolean {
  flag[0] = 0;
  length[0] = 4;
  const [level, option] = isIpv6 ? [SOL_IPV6, IPV6_TRANSPARENT] : [SOL_IP, IP_TRANSPARENT];
  return c.getsockopt(fd, level, option, flag, length) === 0 && flag[0] !== 0;
}

/** struct sockaddr_in: family, port, 4 bytes. struct sockaddr_in6: family, port, flow, 16 bytes, scope. */
function parse(isIpv6: boolean): IpEnd {
  const port = address.readUInt16BE(2);
  if (!isIpv6) return { address: `${address[4]}.${address[5]}.${address[6]}.${address[7]}`, port };
  const groups: string[] = [];
  for (let at = 8; at < 24; at += 2) groups.push(address.readUInt16BE(at).toString(16));
  return { address: new net.SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address, port };
}
