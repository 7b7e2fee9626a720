import type * as v from 'valibot';
import {
  bool,
  check,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32,
} from '../schema/building-blocks.ts';
import { textMatcher } from './text-matcher.ts';
import { oneOrMany, span } from './units.ts';

/** Tokens of one issuer: requests must bring one, and the app and `rbac` learn what it claims. */

type Canonical = Record<string, unknown>;

/** Where {@link jwt} leaves claims, for `rbac` rules and logs. */
export const CLAIMS = { namespace: 'envoy.filters.http.jwt_authn', key: 'claims' } as const;

const Keys = message(
  {
    /** Asked for over an upstream of the file. */
    url: optional(string({ pattern: /^https?:\/\/[^/?#\s]+[^\s#]*$/, allowed: 'http:// or https://, host and path' })),
    upstream: optional(nonEmptyString()),
    refresh: optional(span(), '10m'),
    timeout: optional(span(), '2s'),
    file: optional(nonEmptyString()),
    inline: optional(nonEmptyString()),
  },
  oneof(['url', 'file', 'inline'], { required: true }),
  check((keys) =>
    (keys.url === undefined) === (keys.upstream === undefined)
      ? undefined
      : new Problem('url and upstream belong together', { path: ['upstream'] }),
  ),
);

const paths = oneOrMany(textMatcher(), list(textMatcher()));
const strings = oneOrMany(nonEmptyString(), list(nonEmptyString()));

export const Jwt = message(
  {
    /** Any unless given. */
    issuer: optional(string(), ''),
    audiences: optional(strings, []),
    keys: Keys,
    /** Headers that the app gets, by the claims that go into them; `a.b` is b within a. */
    claims: optional(mapOf(nonEmptyString()), {}),
    /** Paths that need no token. */
    public: optional(paths, []),
    /** A request without token passes; a wrong token is refused all the same. */
    optional: optional(bool(), false),
    /** Leaves the token in the request. */
    forward: optional(bool(), false),
    /** So many verified tokens are remembered; 0 remembers none. */
    cache: optional(uint32({ max: 1_000_000 }), 1000),
  },
  check((config) => {
    for (const [index, path] of config.public.entries()) {
      if (path.exact === undefined && path.prefix === undefined)
        return new Problem('a path is a text, or a prefix with a star', { path: ['public', index] });
    }
    return undefined;
  }),
);
export type Jwt = v.InferOutput<typeof Jwt>;

/** envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication. */
export function jwt(config: Jwt): Canonical {
  const required = { provider_name: 'jwt' };
  const requires = config.optional ? { requires_any: { requirements: [required, { allow_missing: {} }] } } : required;
  const claims = Object.entries(config.claims).map(([header_name, claim_name]) => ({ header_name, claim_name }));
  const provider = {
    ...(config.issuer === '' ? {} : { issuer: config.issuer }),
    ...(config.audiences.length === 0 ? {} : { audiences: config.audiences }),
    ...keySource(config.keys),
    ...(config.forward ? { forward: true } : {}),
    payload_in_metadata: CLAIMS.key,
    normalize_payload_in_metadata: { space_delimited_claims: ['scope'] },
    ...(config.cache === 0 ? {} : { jwt_cache_config: { jwt_cache_size: config.cache } }),
    ...(claims.length === 0 ? {} : { claim_to_headers: claims }),
  };
  const open = config.public.map(({ exact, prefix }) => ({
    match: exact === undefined ? { prefix } : { path: exact },
  }));
  return { providers: { jwt: provider }, rules: [...open, { match: { prefix: '/' }, requires }] };
}

function keySource({ url, upstream, refresh, timeout, file, inline }: Jwt['keys']): Canonical {
  if (file !== undefined) return { local_jwks: { filename: file } };
  if (inline !== undefined) return { local_jwks: { inline_string: inline } };
  return {
    remote_jwks: {
      http_uri: { uri: url, cluster: upstream, timeout },
      cache_duration: refresh,
      async_fetch: { fast_listener: true },
    },
  };
}
