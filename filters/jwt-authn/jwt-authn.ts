import { defineHttpFilter } from '../../src/filter/index.ts';
import { JwtAuthentication, PerRouteConfig } from './schema.ts';

/** What verifies tokens; loaded when a configuration names the filter. */
let engine: typeof import('./engine.ts') | undefined;

/**
 * JSON Web Tokens (Envoy: envoy.filters.http.jwt_authn): requests must bring tokens of certain issuers. What a token
 * claims goes into headers and dynamic metadata, where RBAC finds it.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
 * providers:
 *   accounts:
 *     issuer: https://accounts.example.com
 *     audiences: [shop]
 *     remote_jwks:
 *       http_uri: { uri: 'https://accounts.example.com/jwks.json', cluster: accounts, timeout: 1s }
 *     payload_in_metadata: claims
 * rules:
 *   - match: { prefix: /public }
 *   - match: { prefix: / }
 *     requires: { provider_name: accounts }
 */
export const jwtAuthn = defineHttpFilter<JwtAuthentication, PerRouteConfig>({
  name: 'envoy.filters.http.jwt_authn',
  configType: 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
  config: JwtAuthentication,
  routeConfigType: 'envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig',
  routeConfig: PerRouteConfig,
  semantics: { side: 'either', state: 'process', body: 'none' },
  // Requests wait for keys no longer than their fetch does, retries included.
  timeoutMs: 60_000,
  async prepare() {
    engine ??= await import('./engine.ts');
  },
  create(config, env) {
    if (engine === undefined) throw new Error('prepare was not called');
    return engine.createHooks(config, env);
  },
});
