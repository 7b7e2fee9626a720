import { closeSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import { type Libc, libc } from './libc.ts';

/** A listening address with what Node's own sockets cannot be told before they are bound. */
export interface BindOptions {
  /** In network order: 4 bytes for IPv4, 16 for IPv6. */
  readonly host: Uint8Array;
  readonly port: number;
  readonly reusePort: boolean;
  /** Of an IPv6 socket. */
  readonly ipv6Only: boolean;
  /** Connections to any address may be brought here by TPROXY (IP_TRANSPARENT); needs CAP_NET_ADMIN. */
  readonly transparent: boolean;
  /** The address need not be there yet (IP_FREEBIND). */
  readonly freebind: boolean;
}

const AF_INET = 2;
const AF_INET6 = 10;
/** SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC */
const STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const SOL_IP = 0;
const IP_TRANSPARENT = 19;
const IP_FREEBIND = 15;
const IP_BIND_ADDRESS_NO_PORT = 24;
const SOL_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPV6_TRANSPARENT = 75;
const IPV6_FREEBIND = 78;
/** sizeof(struct sockaddr_in) and sizeof(struct sockaddr_in6). */
const ADDRESS_BYTES = { [AF_INET]: 16, [AF_INET6]: 28 } as const;

/**
 * A TCP socket with its options, bound, for `server.listen({ fd })`.
 *
 * @returns its descriptor, which is the caller's
 * @throws the system's error, with `code` and `syscall`; EPERM of setsockopt where `transparent` is not permitted
 */
export function bindSocket(options: BindOptions): number {
  const c = libc();
  if (c === undefined) throw new Error('libc cannot be reached, which needs Linux and node:ffi');
  const isIpv6 = options.host.length === 16;
  const fd = c.socket(isIpv6 ? AF_INET6 : AF_INET, STREAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(c, 'socket');
  try {
    // As libuv does: a port in TIME_WAIT can be listened on again.
    set(c, fd, SOL_SOCKET, SO_REUSEADDR, true);
    set(c, fd, SOL_SOCKET, SO_REUSEPORT, options.reusePort);
    if (isIpv6) set(c, fd, SOL_IPV6, IPV6_V6ONLY, options.ipv6Only, true);
    const [level, transparent, freebind] = isIpv6
      ? [SOL_IPV6, IPV6_TRANSPARENT, IPV6_FREEBIND]
      : [SOL_IP, IP_TRANSPARENT, IP_FREEBIND];
    set(c, fd, level, transparent, options.transparent);
    set(c, fd, level, freebind, options.freebind);
    const address = socketAddress(options.host, options.port);
    if (c.bind(fd, address, address.length) !== 0) throw systemError(c, 'bind');
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/**
 * A socket for an outgoing connection from this address, whose port is chosen when it connects
 * (IP_BIND_ADDRESS_NO_PORT): one port serves as many connections as there are destinations. With a port chosen at once,
 * 28,000 of them in the last minute would be all that there can be.
 *
 * @param host in network order, 4 or 16 bytes
 * @returns its descriptor, which is the caller's; undefined where libc cannot be reached
 * @throws the system's error, with `code` and `syscall`
 */
export function socketFrom(host: Uint8Array): number | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const fd = c.socket(host.length === 16 ? AF_INET6 : AF_INET, STREAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(c, 'socket');
  try {
    set(c, fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, true);
    const address = socketAddress(host, 0);
    if (c.bind(fd, address, address.length) !== 0) throw systemError(c, 'bind');
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/** Sets a flag; one that is off already by default is left alone. */
function set(c: Libc, fd: number, level: number, option: number, on: boolean, always = false): void {
  if (!on && !always) return;
  const value = new Int32Array([on ? 1 : 0]);
  if (c.setsockopt(fd, level, option, value, 4) !== 0) throw systemError(c, 'setsockopt');
}

/** struct sockaddr_in: family, port, address. struct sockaddr_in6: family, port, flow, address, scope. */
function socketAddress(host: Uint8Array, port: number): Uint8Array<ArrayBuffer> {
  const family = host.length === 16 ? AF_INET6 : AF_INET;
  const bytes = new Uint8Array(ADDRESS_BYTES[family]);
  // The family alone is in the machine's own order.
  new Uint16Array(bytes.buffer, 0, 1)[0] = family;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(host, family === AF_INET6 ? 8 : 4);
  return bytes;
}

function systemError(c: Libc, syscall: string): Error {
  const errno = -c.errno();
  const [code, text] = getSystemErrorMap().get(errno) ?? [`errno ${-errno}`, ''];
  return Object.assign(new Error(`${syscall} ${code}: ${text}`), { code, errno, syscall });
}
