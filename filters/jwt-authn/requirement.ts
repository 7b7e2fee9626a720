import type { HttpStream } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { type AllowedAudiences, compileAudiences } from './audiences.ts';
import { FAILURE, type Failure } from './failure.ts';
import type { Location } from './locations.ts';
import { OptionalTokens } from './optional-tokens.ts';
import type { Outcome, Provider } from './provider.ts';
import type { JwtRequirement } from './schema.ts';

/** Undefined says that the request may go on. */
export type Result = Failure | undefined;

/** What a request must bring. A promise only where keys must be fetched first. */
export interface Requirement {
  check(request: RequestHead, stream: HttpStream): Result | Promise<Result>;
}

/** Compiles a requirement; undefined where nothing is required. `providers` by name, all of them. */
export function compileRequirement(
  config: JwtRequirement,
  providers: ReadonlyMap<string, Provider>,
): Requirement | undefined {
  const all = [...providers.values()];
  const compile = (one: JwtRequirement, named: readonly Provider[]): Requirement => {
    const { provider_and_audiences: withAudiences } = one;
    const name = one.provider_name ?? withAudiences?.provider_name;
    if (name !== undefined) {
      const audiences = withAudiences === undefined ? undefined : compileAudiences(withAudiences.audiences);
      return new TokensOfProvider(providers.get(name) as Provider, audiences);
    }
    if (one.allow_missing !== undefined) return new OptionalTokens(named, all, false);
    if (one.allow_missing_or_failed !== undefined) return new OptionalTokens(named, all, true);
    if (one.requires_all !== undefined) return new All(one.requires_all.requirements.map((part) => compile(part, all)));
    if (one.requires_any !== undefined) return compileAny(one.requires_any.requirements, compile, providers);
    return NOTHING;
  };
  const requirement = compile(config, all);
  return requirement === NOTHING ? undefined : requirement;
}

const NOTHING: Requirement = { check: () => undefined };

/**
 * In an OR-list, `allow_missing` and `allow_missing_or_failed` come last, only the more generous of them counts, and it
 * looks at the tokens of the providers that the list names, as in Envoy, and those of lists in it.
 */
function compileAny(
  parts: readonly JwtRequirement[],
  compile: (one: JwtRequirement, named: readonly Provider[]) => Requirement,
  providers: ReadonlyMap<string, Provider>,
): Requirement {
  const named = parts.flatMap(namesIn).flatMap((name) => providers.get(name) ?? []);
  const isBypass = (part: JwtRequirement) =>
    part.allow_missing !== undefined || part.allow_missing_or_failed !== undefined;
  const bypass =
    parts.find((part) => part.allow_missing_or_failed !== undefined) ??
    parts.find((part) => part.allow_missing !== undefined);
  const all = [...providers.values()];
  const regular = parts.filter((part) => !isBypass(part)).map((part) => compile(part, all));
  if (bypass === undefined) return new Any(regular);
  return new Any([...regular, compile(bypass, named.length === 0 ? all : named)]);
}

/** The providers that a requirement names, those of its lists too. */
function namesIn(one: JwtRequirement): string[] {
  const parts = one.requires_any ?? one.requires_all;
  if (parts !== undefined) return parts.requirements.flatMap(namesIn);
  const name = one.provider_name ?? one.provider_and_audiences?.provider_name;
  return name === undefined ? [] : [name];
}

/** Every token found where the provider looks must be genuine and its own, and there must be one. */
class TokensOfProvider implements Requirement {
  readonly #provider: Provider;
  readonly #audiences: AllowedAudiences;

  constructor(provider: Provider, audiences: AllowedAudiences) {
    this.#provider = provider;
    this.#audiences = audiences;
  }

  check(request: RequestHead, stream: HttpStream): Result | Promise<Result> {
    const provider = this.#provider;
    const { locations } = provider;
    let found: Location | undefined;
    let token = '';
    for (let i = 0; i < locations.length; i++) {
      const location = locations[i] as Location;
      const value = location.read(request);
      if (value === undefined) continue;
      if (found !== undefined) return this.#checkSeveral(request, stream);
      found = location;
      token = value;
    }
    if (found === undefined) return FAILURE.MISSING;
    const outcome = provider.verify(token, this.#audiences);
    if (outcome instanceof Promise) return conclusionOf(outcome, provider, found, request, stream);
    return provider.conclude(outcome, found, request, stream);
  }

  /** A genuine token must not cover up for another one, which the app might read in its place. */
  async #checkSeveral(request: RequestHead, stream: HttpStream): Promise<Result> {
    const provider = this.#provider;
    const tokens = provider.locations.map((location) => location.read(request));
    for (const [index, token] of tokens.entries()) {
      if (token === undefined) continue;
      const outcome = await provider.verify(token, this.#audiences);
      const failure = provider.conclude(outcome, provider.locations[index] as Location, request, stream);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }
}

async function conclusionOf(
  outcome: Promise<Outcome>,
  provider: Provider,
  location: Location,
  request: RequestHead,
  stream: HttpStream,
): Promise<Result> {
  return provider.conclude(await outcome, location, request, stream);
}

class All implements Requirement {
  readonly #parts: readonly Requirement[];

  constructor(parts: readonly Requirement[]) {
    this.#parts = parts;
  }

  check(request: RequestHead, stream: HttpStream, from = 0): Result | Promise<Result> {
    for (let i = from; i < this.#parts.length; i++) {
      const result = (this.#parts[i] as Requirement).check(request, stream);
      if (result instanceof Promise) return this.#goOn(result, request, stream, i + 1);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  async #goOn(first: Promise<Result>, request: RequestHead, stream: HttpStream, from: number): Promise<Result> {
    return (await first) ?? this.check(request, stream, from);
  }
}

class Any implements Requirement {
  readonly #parts: readonly Requirement[];

  constructor(parts: readonly Requirement[]) {
    this.#parts = parts;
  }

  check(request: RequestHead, stream: HttpStream, from = 0, before?: Failure): Result | Promise<Result> {
    let reason = before;
    for (let i = from; i < this.#parts.length; i++) {
      const result = (this.#parts[i] as Requirement).check(request, stream);
      if (result instanceof Promise) return this.#goOn(result, request, stream, i + 1, reason);
      if (result === undefined) return undefined;
      reason = moreTelling(reason, result);
    }
    return reason;
  }

  async #goOn(
    first: Promise<Result>,
    request: RequestHead,
    stream: HttpStream,
    from: number,
    before: Failure | undefined,
  ): Promise<Result> {
    const result = await first;
    return result === undefined ? undefined : this.check(request, stream, from, moreTelling(before, result));
  }
}

/** The reason to answer with: the last one, but for those that say only that a token is another provider's. */
function moreTelling(before: Failure | undefined, result: Failure): Failure {
  return before === undefined || weight(result) >= weight(before) ? result : before;
}

function weight(failure: Failure): number {
  if (failure === FAILURE.MISSING) return 0;
  return failure === FAILURE.ISSUER ? 1 : 2;
}
