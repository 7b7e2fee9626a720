import type { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { HostsFile } from './hosts-file.ts';
import { candidateNames, readSearchList, type SearchList } from './search-list.ts';

/** Envoy's `dns_lookup_family`. AUTO and V4_PREFERRED ask for the other family only when the preferred one has no address. */
export type DnsLookupFamily = 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL';

export interface DnsAnswer {
  /** IP addresses without brackets, in the answer's order; [] when the name is known to have none. */
  readonly addresses: readonly string[];
  /** Milliseconds for which the answer holds: the smallest TTL of its records; undefined when it has none (hosts file). */
  readonly ttlMs: number | undefined;
}

export interface DnsResolver {
  /** Rejects when nobody could answer (timeout, server failure); a name without addresses is an answer. */
  resolve(name: string, family: DnsLookupFamily): Promise<DnsAnswer>;
  /** Gives up what is under way; those promises reject. */
  cancel(): void;
}

export interface SystemResolverOptions {
  /** Name servers as `ip` or `ip:port`; those of the system by default. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
  readonly searchList?: SearchList;
  /** Milliseconds for the first try of one server. */
  readonly timeoutMs?: number;
  readonly tries?: number;
}

type Family = 4 | 6;

/** Envoy's c-ares resolver waits 5 s and tries 4 times. */
const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_TRIES = 4;
const LOOPBACK: Readonly<Record<Family, string>> = { 4: '127.0.0.1', 6: '::1' };
const NO_ADDRESS: DnsAnswer = { addresses: [], ttlMs: undefined };

/**
 * Resolves as the system does, in this order: addresses written as such, the hosts file, localhost (RFC 6761 §6.3), then
 * DNS with the system's search list. `dns.lookup` would do the same, but tells no TTL and holds a thread while it waits.
 */
export class SystemResolver implements DnsResolver {
  private readonly options: SystemResolverOptions;
  private readonly hosts: HostsFile;
  /** Made for the first name that DNS is asked for: most configurations have none, and node:dns delays the start. */
  private resolver: Resolver | undefined;
  private searchList: SearchList | undefined;

  constructor(options: SystemResolverOptions = {}) {
    this.options = options;
    this.hosts = new HostsFile(options.hostsFile);
  }

  async resolve(name: string, family: DnsLookupFamily): Promise<DnsAnswer> {
    if (isIP(name) !== 0) return { addresses: [name], ttlMs: undefined };
    const local = await this.resolveLocally(name);
    if (local.length > 0) return byFamily(family, async (wanted) => ofFamily(local, wanted));
    this.searchList ??= this.options.searchList ?? readSearchList();
    this.resolver ??= makeResolver(this.options);
    const resolver = this.resolver;
    for (const candidate of candidateNames(name, this.searchList)) {
      const answer = await byFamily(family, (wanted) => query(resolver, candidate, wanted));
      if (answer.addresses.length > 0) return answer;
    }
    return NO_ADDRESS;
  }

  cancel(): void {
    this.resolver?.cancel();
  }

  private async resolveLocally(name: string): Promise<readonly string[]> {
    const addresses = await this.hosts.lookup(name);
    if (addresses.length === 0 && /(^|\.)localhost\.?$/i.test(name)) return Object.values(LOOPBACK);
    return addresses;
  }
}

function makeResolver({
  timeoutMs = DEFAULT_TIMEOUT_MS,
  tries = DEFAULT_TRIES,
  servers,
}: SystemResolverOptions): Resolver {
  const dns = process.getBuiltinModule('node:dns');
  const resolver = new dns.promises.Resolver({ timeout: timeoutMs, tries });
  if (servers !== undefined) resolver.setServers(servers);
  return resolver;
}

async function query(resolver: Resolver, name: string, family: Family): Promise<DnsAnswer> {
  try {
    const records = await (family === 4
      ? resolver.resolve4(name, { ttl: true })
      : resolver.resolve6(name, { ttl: true }));
    return {
      addresses: records.map((record) => record.address),
      ttlMs: Math.min(...records.map((record) => record.ttl)) * 1000,
    };
  } catch (error) {
    if (saysNoAddress(error)) return NO_ADDRESS;
    throw error;
  }
}

/** True for the answers "no such name" and "no record of this type". */
function saysNoAddress(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOTFOUND' || code === 'ENODATA';
}

async function byFamily(family: DnsLookupFamily, query: (family: Family) => Promise<DnsAnswer>): Promise<DnsAnswer> {
  switch (family) {
    case 'V4_ONLY':
      return query(4);
    case 'V6_ONLY':
      return query(6);
    case 'AUTO':
      return either(query, 6, 4);
    case 'V4_PREFERRED':
      return either(query, 4, 6);
    case 'ALL':
      return both(query);
  }
}

/** The preferred family, or the other where that has no address or cannot be asked. */
async function either(
  query: (family: Family) => Promise<DnsAnswer>,
  preferred: Family,
  other: Family,
): Promise<DnsAnswer> {
  let failure: unknown;
  try {
    const answer = await query(preferred);
    if (answer.addresses.length > 0) return answer;
  } catch (error) {
    failure = error;
  }
  const answer = await query(other);
  // "No address" holds only when both families were answered for; otherwise nobody knows.
  if (answer.addresses.length === 0 && failure !== undefined) throw failure;
  return answer;
}

async function both(query: (family: Family) => Promise<DnsAnswer>): Promise<DnsAnswer> {
  const [v4, v6] = await Promise.allSettled([query(4), query(6)]);
  const answers = [v4, v6].flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const addresses = answers.flatMap((answer) => answer.addresses);
  const failed = [v4, v6].find((result) => result.status === 'rejected');
  if (addresses.length === 0 && failed !== undefined) throw failed.reason;
  const ttls = answers.flatMap((answer) => answer.ttlMs ?? []);
  return { addresses, ttlMs: ttls.length === 0 ? undefined : Math.min(...ttls) };
}

function ofFamily(addresses: readonly string[], family: Family): DnsAnswer {
  return { addresses: addresses.filter((address) => isIP(address) === family), ttlMs: undefined };
}
