import type { HashPolicy } from '../../config/schema/route-components.ts';
import { Hash64, hash64 } from '../../matching/hash64.ts';
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

/**
 * A hash for the balancer, the one that Envoy makes of the same request; undefined when the request has nothing to hash.
 * The object is written over by the next call.
 */
export type StreamHash = (stream: HashStream) => Hash64 | undefined;

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
  const combined = new Hash64();
  return (stream) => {
    let found = false;
    for (const step of steps) {
      const hash = step.hash(stream);
      if (hash !== undefined) {
        if (found) combined.combine(hash);
        else combined.copy(hash);
        found = true;
      }
      if (step.terminal && found) break;
    }
    return found ? combined : undefined;
  };
}

function compileStep(config: HashPolicy): StreamHash {
  const own = new Hash64();
  if (config.header !== undefined) return headerHash(config.header, own);
  if (config.cookie !== undefined) return cookieHash(config.cookie, own);
  if (config.query_parameter !== undefined) {
    const name = toWireText(config.query_parameter.name);
    return (stream) => {
      const value = queryParameter(stream.request.path, name);
      return value === undefined ? undefined : hash64(value, own);
    };
  }
  if (config.filter_state !== undefined) {
    const { key } = config.filter_state;
    return (stream) => {
      const value = stream.getFilterState(key);
      return value === undefined ? undefined : hash64(toWireText(String(value)), own);
    };
  }
  if (config.connection_properties?.source_ip !== true) return () => undefined;
  return (stream) => (stream.remoteAddress === '' ? undefined : hash64(stream.remoteAddress, own));
}

/** The lines of a repeated header count in any order: each one's hash is the seed of the next. */
function headerHash(config: NonNullable<HashPolicy['header']>, own: Hash64): StreamHash {
  const name = config.header_name;
  const rewrite = config.regex_rewrite;
  const substitute =
    rewrite === undefined ? undefined : compileSubstitution(rewrite.pattern.regex, rewrite.substitution);
  return ({ request }) => {
    const first = request.get(name);
    if (first === undefined) return undefined;
    if (!first.includes(',') && substitute === undefined) return hash64(first, own);
    const values = name.startsWith(':') || name === 'host' ? [first] : request.getAll(name);
    const rewritten = substitute === undefined ? [...values] : values.map(substitute);
    own.set(0, 0);
    for (const value of rewritten.sort()) hash64(value, own, own.low, own.high);
    return own;
  };
}

/** A missing cookie with a `ttl` is made: every stream of one connection gets the same, so that races agree. */
function cookieHash(config: NonNullable<HashPolicy['cookie']>, own: Hash64): StreamHash {
  const name = toWireText(config.name);
  let attributes = config.path === '' ? '' : `; Path=${toWireText(config.path)}`;
  if (config.ttl !== undefined && config.ttl > 0)
    attributes = `; Max-Age=${Math.trunc(config.ttl / 1000)}${attributes}`;
  for (const { name: key, value } of config.attributes) attributes += value === '' ? `; ${key}` : `; ${key}=${value}`;
  return (stream) => {
    const value = cookieValue(stream.request, name);
    if (value !== undefined && value !== '') return hash64(value, own);
    if (config.ttl === undefined) return undefined;
    const { remoteAddress, remotePort, localAddress, localPort } = stream.connection;
    const made = hash64(`${remoteAddress}:${remotePort}${localAddress}:${localPort}`, own).toString();
    stream.addResponseCookie(`${name}="${made}"${attributes}; HttpOnly`);
    return hash64(made, own);
  };
}
