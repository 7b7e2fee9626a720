import type { HttpStream } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { FAILURE, Failure } from './failure.ts';
import { parseJwt } from './jwt.ts';
import { byKey, type Location } from './locations.ts';
import type { Outcome, Provider } from './provider.ts';
import type { Requirement, Result } from './requirement.ts';

/** A place where some providers look. */
interface Place {
  readonly location: Location;
  readonly providers: readonly Provider[];
}

/**
 * `allow_missing` and `allow_missing_or_failed`: tokens are looked for wherever one of some providers does, and each is
 * verified by the provider of its issuer. A request without any goes on.
 */
export class OptionalTokens implements Requirement {
  readonly #places: readonly Place[];
  readonly #byIssuer = new Map<string, Provider>();
  readonly #allowsFailed: boolean;

  /** @param named those whose places count; @param all those that may be an issuer's, the first of each issuer */
  constructor(named: readonly Provider[], all: readonly Provider[], allowsFailed: boolean) {
    const locations = byKey(named.flatMap((provider) => provider.locations));
    this.#places = locations.map((location) => ({
      location,
      providers: named.filter((provider) => provider.locations.some(({ key }) => key === location.key)),
    }));
    for (const provider of all) {
      if (!this.#byIssuer.has(provider.issuer)) this.#byIssuer.set(provider.issuer, provider);
    }
    this.#allowsFailed = allowsFailed;
  }

  check(request: RequestHead, stream: HttpStream): Result | Promise<Result> {
    let tokens: string[] | undefined;
    let places: Place[] | undefined;
    for (let i = 0; i < this.#places.length; i++) {
      const place = this.#places[i] as Place;
      const token = place.location.read(request);
      if (token === undefined) continue;
      if (tokens === undefined || places === undefined) {
        tokens = [token];
        places = [place];
      } else {
        tokens.push(token);
        places.push(place);
      }
    }
    return tokens === undefined || places === undefined
      ? undefined
      : this.#checkFrom(0, tokens, places, request, stream);
  }

  #checkFrom(
    from: number,
    tokens: readonly string[],
    places: readonly Place[],
    request: RequestHead,
    stream: HttpStream,
  ): Result | Promise<Result> {
    for (let i = from; i < tokens.length; i++) {
      const result = this.#checkToken(tokens[i] as string, places[i] as Place, request, stream);
      if (result instanceof Promise) {
        return result.then((failure) =>
          failure !== undefined && !this.#allowsFailed
            ? failure
            : this.#checkFrom(i + 1, tokens, places, request, stream),
        );
      }
      if (result !== undefined && !this.#allowsFailed) return result;
    }
    return undefined;
  }

  #checkToken(token: string, place: Place, request: RequestHead, stream: HttpStream): Result | Promise<Result> {
    for (const provider of place.providers) {
      const known = provider.cache?.get(token);
      if (known === undefined || this.#providerOf(known.issuer) !== provider) continue;
      return provider.conclude(provider.verifyKnown(known, token), place.location, request, stream);
    }
    const jwt = parseJwt(token);
    if (jwt instanceof Failure) return jwt;
    const provider = this.#providerOf(jwt.issuer);
    const isAllowedHere = place.providers.some(({ issuer }) => issuer === '' || issuer === jwt.issuer);
    if (provider === undefined || !isAllowedHere) return FAILURE.ISSUER;
    const outcome: Outcome | Promise<Outcome> = provider.verifyParsed(jwt, token);
    if (!(outcome instanceof Promise)) return provider.conclude(outcome, place.location, request, stream);
    return outcome.then((settled) => provider.conclude(settled, place.location, request, stream));
  }

  /** The provider of an issuer, else the one that takes tokens of all. */
  #providerOf(issuer: string): Provider | undefined {
    return this.#byIssuer.get(issuer) ?? this.#byIssuer.get('');
  }
}
