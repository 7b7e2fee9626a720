import { readFileSync } from 'node:fs';

/** Whether this network namespace has IPv6 at all; a kernel without it, or a sysctl that disables it, leaves no address. */
export function hasIpv6(): boolean {
  return addresses().length > 0;
}

/** Whether it has addresses of IPv6 that others can reach, beyond its own link. */
export function hasReachableIpv6(): boolean {
  return addresses().some((line) => !/^(?:0{31}[16]|fe80)/.test(line));
}

/** Lines of an address in hex, and its interface (Documentation/networking/ipv6 of Linux has no page; net/ipv6/addrconf.c). */
function addresses(): string[] {
  try {
    return readFileSync('/proc/self/net/if_inet6', 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
