import type { HttpGenericBodyMatch, MatchPredicate } from '../../src/config/schema/tap.ts';
import { compileHeaderMatchers, type HeaderSource } from '../../src/matching/header-matcher.ts';

/** What of a message a condition is about. */
export const PART = {
  requestHeaders: 0,
  requestBody: 1,
  requestTrailers: 2,
  responseHeaders: 3,
  responseBody: 4,
  responseTrailers: 5,
} as const;
export type Part = (typeof PART)[keyof typeof PART];

/** Kleene's third value is a condition about something that has not come yet. */
export type Truth = boolean | undefined;

/** One condition, by its place in the truths of a stream. */
type Condition =
  | { readonly part: Part; readonly headers: (head: HeaderSource) => boolean }
  | { readonly part: Part; readonly body: BodyPatterns };

type Evaluate = (truths: readonly Truth[]) => Truth;

/** A compiled envoy.config.common.matcher.v3.MatchPredicate. */
export class TapMatch {
  readonly #conditions: Condition[] = [];
  readonly #evaluate: Evaluate;
  /** False where the request's headers decide everything. */
  readonly looksBeyondRequestHeaders: boolean;

  constructor(predicate: MatchPredicate) {
    this.#evaluate = this.#compile(predicate);
    this.looksBeyondRequestHeaders = this.#conditions.some(({ part }) => part !== PART.requestHeaders);
  }

  /** The state of a stream of which nothing is known. */
  begin(): MatchState {
    return new MatchState(this.#conditions, this.#evaluate);
  }

  #compile(predicate: MatchPredicate): Evaluate {
    if (predicate.or_match !== undefined) return some(predicate.or_match.rules.map((rule) => this.#compile(rule)));
    if (predicate.and_match !== undefined) return every(predicate.and_match.rules.map((rule) => this.#compile(rule)));
    if (predicate.not_match !== undefined) {
      const inner = this.#compile(predicate.not_match);
      return (truths) => {
        const truth = inner(truths);
        return truth === undefined ? undefined : !truth;
      };
    }
    const headers = HEADERS.find(([field]) => predicate[field] !== undefined);
    if (headers !== undefined) {
      const [field, part] = headers;
      const matches = compileHeaderMatchers(predicate[field]?.headers ?? []) ?? (() => true);
      return this.#condition({ part, headers: matches });
    }
    const body = BODIES.find(([field]) => predicate[field] !== undefined);
    if (body === undefined) return () => true;
    const [field, part] = body;
    return this.#condition({ part, body: new BodyPatterns(predicate[field] as HttpGenericBodyMatch) });
  }

  #condition(condition: Condition): Evaluate {
    const place = this.#conditions.push(condition) - 1;
    return (truths) => truths[place];
  }
}

const HEADERS = [
  ['http_request_headers_match', PART.requestHeaders],
  ['http_request_trailers_match', PART.requestTrailers],
  ['http_response_headers_match', PART.responseHeaders],
  ['http_response_trailers_match', PART.responseTrailers],
] as const;
const BODIES = [
  ['http_request_generic_body_match', PART.requestBody],
  ['http_response_generic_body_match', PART.responseBody],
] as const;

function some(rules: readonly Evaluate[]): Evaluate {
  return (truths) => {
    let result: Truth = false;
    for (const rule of rules) {
      const truth = rule(truths);
      if (truth === true) return true;
      if (truth === undefined) result = undefined;
    }
    return result;
  };
}

function every(rules: readonly Evaluate[]): Evaluate {
  return (truths) => {
    let result: Truth = true;
    for (const rule of rules) {
      const truth = rule(truths);
      if (truth === false) return false;
      if (truth === undefined) result = undefined;
    }
    return result;
  };
}

/** What is known of one stream. */
export class MatchState {
  /** Whether the stream is to be tapped, as far as it is known. */
  truth: Truth;
  readonly #conditions: readonly Condition[];
  readonly #evaluate: Evaluate;
  readonly #truths: Truth[];
  readonly #searches: (BodySearch | undefined)[];

  constructor(conditions: readonly Condition[], evaluate: Evaluate) {
    this.#conditions = conditions;
    this.#evaluate = evaluate;
    this.#truths = conditions.map(() => undefined);
    this.#searches = conditions.map((condition) => ('body' in condition ? condition.body.begin() : undefined));
    this.truth = evaluate(this.#truths);
  }

  /** A head or trailers have come. */
  onHeaders(part: Part, head: HeaderSource): void {
    if (this.truth !== undefined) return;
    for (const [place, condition] of this.#conditions.entries()) {
      if (condition.part === part && 'headers' in condition) this.#truths[place] = condition.headers(head);
    }
    this.truth = this.#evaluate(this.#truths);
  }

  /** A piece of a body has come. */
  onBody(part: Part, chunk: Buffer, end: boolean): void {
    if (this.truth !== undefined) return;
    for (const [place, condition] of this.#conditions.entries()) {
      if (condition.part === part && this.#truths[place] === undefined) {
        this.#truths[place] = this.#searches[place]?.add(chunk, end);
      }
    }
    this.truth = this.#evaluate(this.#truths);
  }

  /** What has not come will not come. */
  end(): boolean {
    this.truth ??= this.#evaluate(this.#truths.map((truth) => truth ?? false)) === true;
    return this.truth;
  }
}

/** The patterns of an HttpGenericBodyMatch, of which all must be found. */
class BodyPatterns {
  readonly patterns: readonly Buffer[];
  /** Bytes of the body that are looked at. */
  readonly limit: number;
  /** What of the bytes before may be the beginning of a pattern. */
  readonly overlap: number;

  constructor(config: HttpGenericBodyMatch) {
    this.patterns = config.patterns.map(
      ({ string_match, binary_match }) => binary_match ?? Buffer.from(string_match as string),
    );
    this.limit = config.bytes_limit === 0 ? Number.POSITIVE_INFINITY : config.bytes_limit;
    this.overlap = Math.max(...this.patterns.map((pattern) => pattern.length)) - 1;
  }

  begin(): BodySearch {
    return new BodySearch(this);
  }
}

class BodySearch {
  readonly #config: BodyPatterns;
  #missing: readonly Buffer[];
  #seen = 0;
  #tail: Buffer = Buffer.alloc(0);

  constructor(config: BodyPatterns) {
    this.#config = config;
    this.#missing = config.patterns;
  }

  add(chunk: Buffer, end: boolean): Truth {
    const { limit, overlap } = this.#config;
    const piece = chunk.subarray(0, limit - this.#seen);
    this.#seen += piece.length;
    const text = this.#tail.length === 0 ? piece : Buffer.concat([this.#tail, piece]);
    this.#missing = this.#missing.filter((pattern) => !text.includes(pattern));
    if (this.#missing.length === 0) return true;
    if (end || this.#seen >= limit) return false;
    this.#tail = Buffer.from(text.subarray(Math.max(0, text.length - overlap)));
    return undefined;
  }
}
