import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** How long the list of the machine's addresses is believed. */
const INTERFACES_MS = 5000;

let interfacesReadMs = Number.NEGATIVE_INFINITY;
let ownAddresses: ReadonlySet<string> = new Set();

/**
 * Why a request must not be answered, or undefined. The loopback is shared with the application and can be reached from
 * a browser: a name that an attacker points at 127.0.0.1 (DNS rebinding) shows in Host, a foreign page in Origin or
 * Sec-Fetch-Site.
 */
export function refusal(headers: IncomingHttpHeaders, boundHost: string): string | undefined {
  const host = headers.host;
  if (host !== undefined && !isOwnHost(hostnameOf(host), boundHost)) {
    return `Host ${JSON.stringify(host)} is neither the loopback nor an address of this machine`;
  }
  const origin = headers.origin;
  if (origin !== undefined && (host === undefined || origin.toLowerCase() !== `http://${host.toLowerCase()}`)) {
    return `Origin ${JSON.stringify(origin)} is not this server`;
  }
  const site = headers['sec-fetch-site'];
  // Following a link is harmless: reads have no effect, and the other page does not see the answer.
  const isLink = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  if ((site === 'cross-site' || site === 'same-site') && !isLink)
    return 'the request comes from the page of another site';
  return undefined;
}

/** True for localhost, loopback addresses, the address that the server is bound to and those of the machine. */
export function isOwnHost(hostname: string, boundHost: string): boolean {
  if (hostname === 'localhost' || hostname === boundHost) return true;
  const family = isIP(hostname);
  if (family === 0) return false;
  if (family === 4 && hostname.startsWith('127.')) return true;
  return hostname === '::1' || machineAddresses().has(hostname);
}

/** Host without port and brackets. */
function hostnameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host);
  if (bracketed !== null) return (bracketed[1] as string).toLowerCase();
  return host.replace(/:\d*$/, '').toLowerCase();
}

function machineAddresses(): ReadonlySet<string> {
  const nowMs = performance.now();
  if (nowMs - interfacesReadMs > INTERFACES_MS) {
    interfacesReadMs = nowMs;
    ownAddresses = new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map((one) => one.address) ?? []));
  }
  return ownAddresses;
}
