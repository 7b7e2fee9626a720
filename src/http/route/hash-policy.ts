import type { HashPolicy } from '../../config/schema/route-components.ts';
import { hash32 } from '../../matching/hash.ts';
import { queryParameter } from '../../matching/query-parameter-matcher.ts';
import { compileSubstitution } from '../../matching/regex.ts';
import { toWireText } from '../../matching/wire-text.ts';
import type { StreamInfo } from '../../observe/stream-info.ts';
import type { RequestHead } from '../message.ts';
import { cookieValue } from './cookie.ts';

/** What hashing asks of a stream besides its facts. */
export interface HashStream extends StreamInfo {
  readonly request: RequestHead;
  /** Adds a Set-Cookie to the response; the same one may come again when an attempt is repeated. */
  addResponseCookie(setCookie: string): void;
}

/** An unsigned 32-bit hash for the balancer; undefined when the request has nothing to hash. */
export type StreamHash = (stream: HashStream) => number | undefined;

interface HashStep {
  readonly terminal: boolean;
  readonly hash: StreamHash;
}

/**
 * Compiles the hash policies of a route. Their hashes are combined in order, each earlier one rotated by a bit, so
 * that two equal ones do not cancel out; a terminal policy ends the search once there is a hash. Undefined for none.
 *
 * @throws RegexError
 */
export function compileHashPolicies(configs: readonly HashPolicy[]): StreamHash | undefined {
  const steps = configs.map((config): HashStep => ({ terminal: config.terminal, hash: compileStep(config) }));
  const [only] = steps;
  if (only === undefined) return undefined;
  if (steps.length === 1) return only.hash;
  return (stream) => {
    let combined: number | undefined;
    for (const step of steps) {
      const hash = step.hash(stream);
      if (hash !== undefined) {
        const before = combined === undefined ? 0 : (combined << 1) | (combined >>> 31);
        combined = (before ^ hash) >>> 0;
      }
      if (step.terminal && combined !== undefined) break;
    }
    return combined;
  };
}

function compileStep(config: HashPolicy): StreamHash {
  if (config.header !== undefined) return headerHash(config.header);
  if (config.cookie !== undefined) return cookieHash(config.cookie);
  if (config.query_parameter !== undefined) {
    const name = toWireText(config.query_parameter.name);
    return (stream) => hashOf(queryParameter(stream.request.path, name));
  }
  if (config.filter_state !== undefined) {
    const { key } = config.filter_state;
    return (stream) => {
      const value = stream.getFilterState(key);
      return value === undefined ? undefined : hash32(String(value));
    };
  }
  if (config.connection_properties?.source_ip !== true) return () => undefined;
  return (stream) => (stream.remoteAddress === '' ? undefined : hash32(stream.remoteAddress));
}

/** The lines of a repeated header count in any order. */
function headerHash(config: NonNullable<HashPolicy['header']>): StreamHash {
  const name = config.header_name;
  const rewrite = config.regex_rewrite;
  const substitute =
    rewrite === undefined ? undefined : compileSubstitution(rewrite.pattern.regex, rewrite.substitution);
  return ({ request }) => {
    const first = request.get(name);
    if (first === undefined) return undefined;
    if (!first.includes(',') && substitute === undefined) return hash32(first);
    const values = name.startsWith(':') || name === 'host' ? [first] : request.getAll(name);
    const rewritten = substitute === undefined ? [...values] : values.map(substitute);
    return hash32(rewritten.sort().join(','));
  };
}

/** A missing cookie with a `ttl` is made: every stream of one connection gets the same, so that races agree. */
function cookieHash(config: NonNullable<HashPolicy['cookie']>): StreamHash {
  const name = toWireText(config.name);
  let attributes = config.path === '' ? '' : `; Path=${toWireText(config.path)}`;
  if (config.ttl !== undefined && config.ttl > 0)
    attributes = `; Max-Age=${Math.trunc(config.ttl / 1000)}${attributes}`;
  for (const { name: key, value } of config.attributes) attributes += value === '' ? `; ${key}` : `; ${key}=${value}`;
  return (stream) => {
    const value = cookieValue(stream.request, name);
    if (value !== undefined && value !== '') return hash32(value);
    if (config.ttl === undefined) return undefined;
    const { id, remoteAddress, remotePort, localAddress, localPort } = stream.connection;
    const addresses = `${remoteAddress}:${remotePort} ${localAddress}:${localPort} ${id}`;
    const made = hex(hash32(addresses)) + hex(hash32(addresses, 1));
    stream.addResponseCookie(`${name}="${made}"${attributes}; HttpOnly`);
    return hash32(made);
  };
}

function hashOf(value: string | undefined): number | undefined {
  return value === undefined ? undefined : hash32(value);
}

function hex(hash: number): string {
  return hash.toString(16).padStart(8, '0');
}
