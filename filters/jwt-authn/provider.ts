import type { HttpStream } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { compileStringMatcher } from '../../src/matching/string-matcher.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import { type AllowedAudiences, compileAudiences, isForOneOf } from './audiences.ts';
import { FAILURE, Failure } from './failure.ts';
import { type Jwt, parseJwt } from './jwt.ts';
import { KeySet } from './key-set.ts';
import { type KeySource, localKeys } from './keys.ts';
import { type Location, locationsOf } from './locations.ts';
import { RemoteKeys } from './remote-keys.ts';
import type { JwtProvider } from './schema.ts';
import type { ProviderEnv } from './stats.ts';
import { TokenCache } from './token-cache.ts';
import { addHeaders, compileReduction, type Verified } from './verified.ts';

export const NAMESPACE = 'envoy.filters.http.jwt_authn';
/** Envoy's default, where `clock_skew_seconds` is 0. */
const DEFAULT_SKEW_SECONDS = 60;

export type Outcome = Verified | Failure;

/** One issuer of tokens: where its tokens are found, how they are verified, and what a request gets of them. */
export class Provider {
  readonly name: string;
  /** '' takes tokens of every issuer. */
  readonly issuer: string;
  readonly locations: readonly Location[];
  readonly keys: KeySource;
  readonly cache: TokenCache | undefined;
  readonly #config: JwtProvider;
  readonly #env: ProviderEnv;
  readonly #audiences: AllowedAudiences;
  readonly #allowsSubject: ((subject: string) => boolean) | undefined;
  readonly #skewSeconds: number;
  readonly #reduce: (jwt: Jwt) => Verified | undefined;
  readonly #changesRoute: boolean;

  /** @throws Error when local keys cannot be read */
  constructor(name: string, config: JwtProvider, env: ProviderEnv) {
    this.name = name;
    this.issuer = config.issuer;
    this.locations = locationsOf(config);
    this.#config = config;
    this.#env = env;
    this.#audiences = compileAudiences(config.audiences);
    this.#allowsSubject = config.subjects === undefined ? undefined : compileStringMatcher(config.subjects);
    this.#skewSeconds = config.clock_skew_seconds || DEFAULT_SKEW_SECONDS;
    this.#reduce = compileReduction(config, this.#skewSeconds);
    this.#changesRoute = config.clear_route_cache;
    const size = config.jwt_cache_config;
    const cache = size === undefined ? undefined : new TokenCache(size.jwt_cache_size, size.jwt_max_token_size);
    this.cache = cache;
    this.keys =
      config.remote_jwks === undefined
        ? localKeys(config.local_jwks ?? {}, name)
        : new RemoteKeys(config.remote_jwks, {
            provider: name,
            calls: env.calls,
            log: env.log,
            success: env.stats.fetchSuccess,
            failed: env.stats.fetchFailed,
            onChange: () => cache?.clear(),
          });
  }

  /** Whether a token is genuine and good here. `audiences` are those of a requirement that has its own. */
  verify(token: string, audiences: AllowedAudiences = this.#audiences): Outcome | Promise<Outcome> {
    const known = this.cache?.get(token);
    if (known !== undefined) return this.verifyKnown(known, token, audiences);
    this.#env.stats.cacheMiss.inc();
    const jwt = parseJwt(token);
    return jwt instanceof Failure ? jwt : this.verifyParsed(jwt, token, audiences);
  }

  /** The same for a token that the cache had. */
  verifyKnown(known: Verified, token: string, audiences: AllowedAudiences = this.#audiences): Outcome {
    this.#env.stats.cacheHit.inc();
    if (Date.now() >= known.expiredAtMs) {
      this.cache?.delete(token);
      return FAILURE.EXPIRED;
    }
    return isForOneOf(audiences, known.audiences) ? known : FAILURE.AUDIENCE;
  }

  /** The same for a token that was read before. */
  verifyParsed(jwt: Jwt, token: string, audiences: AllowedAudiences = this.#audiences): Outcome | Promise<Outcome> {
    const fault = this.#claimFault(jwt, audiences);
    if (fault !== undefined) return fault;
    const keys = this.keys.current();
    if (keys instanceof KeySet) return this.#verifySignature(jwt, token, keys);
    if (keys instanceof Failure) return keys;
    return keys.then((fetched) => (fetched instanceof KeySet ? this.#verifySignature(jwt, token, fetched) : fetched));
  }

  #claimFault(jwt: Jwt, audiences: AllowedAudiences): Failure | undefined {
    if (this.issuer !== '' && jwt.issuer !== this.issuer) return FAILURE.ISSUER;
    const nowSeconds = Math.floor(Date.now() / 1000);
    const { notBefore, expires } = jwt;
    if (notBefore > nowSeconds + this.#skewSeconds) return FAILURE.NOT_YET_VALID;
    if (expires !== 0 && nowSeconds > expires + this.#skewSeconds) return FAILURE.EXPIRED;
    if (!isForOneOf(audiences, jwt.audiences)) return FAILURE.AUDIENCE;
    // String matchers compare the bytes of messages, claims are Unicode.
    if (this.#allowsSubject?.(toWireText(jwt.subject)) === false) return FAILURE.VERIFICATION;
    const { max_lifetime: maxLifetimeMs, require_expiration: isExpirationRequired } = this.#config;
    if (expires === 0 && (isExpirationRequired || maxLifetimeMs !== undefined)) return FAILURE.VERIFICATION;
    if (maxLifetimeMs !== undefined && (expires - nowSeconds) * 1000 > maxLifetimeMs) return FAILURE.VERIFICATION;
    return undefined;
  }

  #verifySignature(jwt: Jwt, token: string, keys: KeySet): Outcome {
    const fault = keys.verify(jwt);
    if (fault !== undefined) return fault;
    const verified = this.#reduce(jwt);
    if (verified === undefined) return FAILURE.CLAIM_HEADER;
    this.cache?.set(token, verified);
    return verified;
  }

  /** Does to a request what comes of one of its tokens. Returns the failure, if it is one. */
  conclude(outcome: Outcome, location: Location, request: RequestHead, stream: HttpStream): Failure | undefined {
    const config = this.#config;
    if (outcome instanceof Failure) {
      const key = config.failed_status_in_metadata;
      if (key !== '') stream.setMetadata(NAMESPACE, key, { code: outcome.code, message: outcome.text });
      return outcome;
    }
    addHeaders(request, outcome.headers);
    if (!config.forward) location.remove(request);
    if (config.header_in_metadata !== '') stream.setMetadata(NAMESPACE, config.header_in_metadata, outcome.header);
    if (config.payload_in_metadata !== '') stream.setMetadata(NAMESPACE, config.payload_in_metadata, outcome.payload);
    if (this.#changesRoute && (outcome.headers.length > 0 || config.payload_in_metadata !== '')) {
      stream.clearRouteCache();
    }
    return undefined;
  }
}
