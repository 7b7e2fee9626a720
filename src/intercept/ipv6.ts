import { readFileSync } from 'node:fs';

/**
 * Whether this network namespace has IPv6 at all: a kernel without it, or a sysctl that disables it, leaves no address.
 * Those of one's own link count too, since neighbours could reach the app by them.
 */
export function hasIpv6(): boolean {
  try {
    return readFileSync('/proc/self/net/if_inet6', 'utf8') !== '';
  } catch {
    return false;
  }
}
