import { lowerAscii, toWireText } from '../../matching/wire-text.ts';
import { portStart } from '../authority.ts';

/** Wildcard domains of one length, without their `*`. */
interface Wildcards<T> {
  readonly length: number;
  readonly hosts: Map<string, T>;
}

/**
 * Finds the virtual host of an authority: an exact domain, else the longest `*suffix`, else the longest `prefix*`, else
 * `*`. Letters compare without case, and a wildcard stands for at least one character.
 */
export class VirtualHostTable<T> {
  private readonly exact = new Map<string, T>();
  /** Both longest first. */
  private readonly suffixes: Wildcards<T>[] = [];
  private readonly prefixes: Wildcards<T>[] = [];
  private readonly ignorePort: boolean;
  private fallback: T | undefined = undefined;
  /** Most requests of a connection, and of a sidecar, name the same host. */
  private lastAuthority: string | undefined = undefined;
  private lastHost: T | undefined = undefined;

  constructor(ignorePort: boolean) {
    this.ignorePort = ignorePort;
  }

  /** @throws Error for a domain that has an owner already */
  add(domain: string, host: T): void {
    const key = lowerAscii(toWireText(domain));
    if (key === '*') {
      if (this.fallback !== undefined) throw new Error('the domain "*" belongs to another virtual host already');
      this.fallback = host;
      return;
    }
    let hosts = this.exact;
    let literal = key;
    if (key.startsWith('*')) {
      literal = key.substring(1);
      hosts = ofLength(this.suffixes, literal.length);
    } else if (key.endsWith('*')) {
      literal = key.substring(0, key.length - 1);
      hosts = ofLength(this.prefixes, literal.length);
    }
    if (hosts.has(literal)) throw new Error(`the domain "${domain}" belongs to another virtual host already`);
    hosts.set(literal, host);
  }

  find(authority: string): T | undefined {
    if (authority === this.lastAuthority) return this.lastHost;
    this.lastHost = this.search(authority);
    this.lastAuthority = authority;
    return this.lastHost;
  }

  private search(authority: string): T | undefined {
    const { exact, suffixes, prefixes } = this;
    if (exact.size === 0 && suffixes.length === 0 && prefixes.length === 0) return this.fallback;
    if (authority === '') return undefined;
    let host = lowerAscii(authority);
    if (this.ignorePort) {
      const colon = portStart(host);
      if (colon >= 0) host = host.substring(0, colon);
    }
    const found = exact.get(host);
    if (found !== undefined) return found;
    for (const { length, hosts } of suffixes) {
      if (host.length <= length) continue;
      const match = hosts.get(host.substring(host.length - length));
      if (match !== undefined) return match;
    }
    for (const { length, hosts } of prefixes) {
      if (host.length <= length) continue;
      const match = hosts.get(host.substring(0, length));
      if (match !== undefined) return match;
    }
    return this.fallback;
  }
}

function ofLength<T>(lists: Wildcards<T>[], length: number): Map<string, T> {
  let list = lists.find((candidate) => candidate.length === length);
  if (list === undefined) {
    list = { length, hosts: new Map() };
    lists.push(list);
    lists.sort((a, b) => b.length - a.length);
  }
  return list.hosts;
}
