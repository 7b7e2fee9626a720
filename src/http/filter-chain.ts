import type { HttpFilterHooks, HttpStream } from '../filter/http.ts';
import type { AnyHttpFilter } from '../filter/registry.ts';

/** One configured filter: its hooks, and what the runner must know of it. */
export interface ConfiguredFilter {
  /** The name under which the configuration lists it. */
  readonly name: string;
  /** Its place in the configuration, which is the same in every chain. */
  readonly order: number;
  readonly definition: AnyHttpFilter;
  readonly hooks: HttpFilterHooks;
  readonly onError: 'closed' | 'open';
  readonly timeoutMs: number;
}

type WithHook<Name extends keyof HttpFilterHooks> = ConfiguredFilter & {
  readonly hooks: Required<Pick<HttpFilterHooks, Name>>;
};

/**
 * The filters of one route in the order of their hooks: request hooks as configured, response hooks in reverse. A
 * phase without hooks is an empty array. Compiled at load, never changed.
 */
export class FilterChain {
  readonly filters: readonly ConfiguredFilter[];
  readonly request: readonly WithHook<'onRequest'>[];
  readonly requestBody: readonly WithHook<'onRequestBody'>[];
  readonly requestTrailers: readonly WithHook<'onRequestTrailers'>[];
  readonly response: readonly WithHook<'onResponse'>[];
  readonly responseBody: readonly WithHook<'onResponseBody'>[];
  readonly responseTrailers: readonly WithHook<'onResponseTrailers'>[];
  readonly done: readonly WithHook<'onDone'>[];
  /** A streaming body hook may change the length of what it sees: the length that the peer announced does not hold. */
  readonly changesRequestBody: boolean;
  readonly changesResponseBody: boolean;

  constructor(filters: readonly ConfiguredFilter[]) {
    this.filters = filters;
    const reversed = filters.toReversed();
    this.request = withHook(filters, 'onRequest');
    this.requestBody = withHook(filters, 'onRequestBody');
    this.requestTrailers = withHook(filters, 'onRequestTrailers');
    this.response = withHook(reversed, 'onResponse');
    this.responseBody = withHook(reversed, 'onResponseBody');
    this.responseTrailers = withHook(reversed, 'onResponseTrailers');
    this.done = withHook(filters, 'onDone');
    this.changesRequestBody = this.requestBody.some(writesBody);
    this.changesResponseBody = this.responseBody.some(writesBody);
  }

  /** Whether the length that the client announced holds no more for this request. */
  changesRequestBodyOf(stream: HttpStream): boolean {
    return this.changesRequestBody && rewritesBody(this.requestBody, stream);
  }

  /** Whether the length that the upstream announced holds no more for this response. */
  changesResponseBodyOf(stream: HttpStream): boolean {
    return this.changesResponseBody && rewritesBody(this.responseBody, stream);
  }
}

/** Chains that were put together for requests that changed their route, by the chains of both routes. */
const joined = new WeakMap<FilterChain, WeakMap<FilterChain, FilterChain[]>>();

/** Up to the filter `order` the chain that a request has passed, behind it that of its new route. */
export function joinChains(passed: FilterChain, order: number, next: FilterChain): FilterChain {
  if (passed === next) return passed;
  let byNext = joined.get(passed);
  if (byNext === undefined) {
    byNext = new WeakMap();
    joined.set(passed, byNext);
  }
  let byOrder = byNext.get(next);
  if (byOrder === undefined) {
    byOrder = [];
    byNext.set(next, byOrder);
  }
  byOrder[order] ??= new FilterChain([
    ...passed.filters.filter((filter) => filter.order <= order),
    ...next.filters.filter((filter) => filter.order > order),
  ]);
  return byOrder[order];
}

function withHook<Name extends keyof HttpFilterHooks>(
  filters: readonly ConfiguredFilter[],
  name: Name,
): WithHook<Name>[] {
  return filters.filter((filter): filter is WithHook<Name> => filter.hooks[name] !== undefined);
}

function rewritesBody(filters: readonly ConfiguredFilter[], stream: HttpStream): boolean {
  return filters.some((filter) => writesBody(filter) && filter.hooks.rewritesBody?.(stream) !== false);
}

function writesBody(filter: ConfiguredFilter): boolean {
  return filter.definition.semantics.body === 'write';
}
