import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { builtinRegistry } from '../../../filters/index.ts';
import { expandText } from '../../../src/config/expand.ts';
import { loadConfig } from '../../../src/config/load.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look deep into plain data
type Data = any;

/** The configuration of the first HTTP filter. */
function expand(filters: string): Data {
  const text = `app: 8080\nlisten: 10000\nfilters: [${filters}]\n`;
  const { static_resources } = parse(expandText('sidecar.yaml', text)) as Data;
  return static_resources.listeners[0].filter_chains[0].filters.at(-1).typed_config.http_filters[0].typed_config;
}

const load = (filters: string): unknown =>
  loadConfig('sidecar.yaml', { registry: builtinRegistry(), text: `app: 8080\nlisten: 1\nfilters: [${filters}]\n` });

describe('jwt', () => {
  it('with everything is a provider and rules', () => {
    const config = expand(
      '{ jwt: { issuer: i, audiences: a, keys: { url: "http://k/jwks", upstream: k, refresh: 1m, timeout: 500ms }, claims: { x-user: sub }, public: [/a, /b/*], optional: true, forward: true, cache: 7 } }',
    );
    expect(config).toEqual({
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
      providers: {
        jwt: {
          issuer: 'i',
          audiences: ['a'],
          remote_jwks: {
            http_uri: { uri: 'http://k/jwks', cluster: 'k', timeout: '0.5s' },
            cache_duration: '60s',
            async_fetch: { fast_listener: true },
          },
          forward: true,
          payload_in_metadata: 'claims',
          normalize_payload_in_metadata: { space_delimited_claims: ['scope'] },
          jwt_cache_config: { jwt_cache_size: 7 },
          claim_to_headers: [{ header_name: 'x-user', claim_name: 'sub' }],
        },
      },
      rules: [
        { match: { path: '/a' } },
        { match: { prefix: '/b/' } },
        {
          match: { prefix: '/' },
          requires: { requires_any: { requirements: [{ provider_name: 'jwt' }, { allow_missing: {} }] } },
        },
      ],
    });
  });

  it('by default requires a token of any issuer, and remembers it', () => {
    const { providers, rules } = expand('{ jwt: { keys: { file: ./k.json } } }');
    expect(rules).toEqual([{ match: { prefix: '/' }, requires: { provider_name: 'jwt' } }]);
    expect(providers.jwt).toMatchObject({
      local_jwks: { filename: './k.json' },
      jwt_cache_config: { jwt_cache_size: 1000 },
    });
    expect(providers.jwt.issuer).toBeUndefined();
    expect(expand('{ jwt: { keys: { inline: x }, cache: 0 } }').providers.jwt.jwt_cache_config).toBeUndefined();
  });

  it.each([
    ['{ jwt: {} }', /keys/],
    ['{ jwt: { keys: {} } }', /one of url, file, inline/],
    ['{ jwt: { keys: { url: "http://k/" } } }', /url and upstream belong together/],
    ['{ jwt: { keys: { file: f, upstream: k } } }', /url and upstream belong together/],
    ['{ jwt: { keys: { file: f }, public: "*.css" } }', /a path is a text, or a prefix with a star/],
    ['{ jwt: { keys: { url: "http://k/", upstream: nowhere } } }', /cluster "nowhere" does not exist/],
  ])('is refused: %s', (filter, problem) => {
    expect(() => load(filter)).toThrow(problem);
  });
});

it('rbac: claims are looked for where jwt leaves them, in texts and lists', () => {
  const { rules } = expand('{ rbac: { allow: [{ claims: { org.role: "adm*", scope: "*" } }] } }');
  const [{ and_rules }] = rules.policies['rule-1'].permissions;
  const prefix = { string_match: { prefix: 'adm' } };
  expect(and_rules.rules).toEqual([
    {
      metadata: {
        filter: 'envoy.filters.http.jwt_authn',
        path: [{ key: 'claims' }, { key: 'org' }, { key: 'role' }],
        value: { or_match: { value_matchers: [prefix, { list_match: { one_of: prefix } }] } },
      },
    },
    {
      metadata: {
        filter: 'envoy.filters.http.jwt_authn',
        path: [{ key: 'claims' }, { key: 'scope' }],
        value: { present_match: true },
      },
    },
  ]);
});
