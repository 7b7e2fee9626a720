import type * as v from 'valibot';
import type { Path } from '../errors.ts';
import {
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
import type { Provenance } from './provenance.ts';
import { headerMatcher, type TextMatcher, textMatcher } from './text-matcher.ts';
import { either, isRecord, oneOrMany, span } from './units.ts';

/** How often, and on what, a failed request is tried again. */
export const Retries = either(
  message({
    count: optional(uint32({ min: 1 }), 2),
    on: optional(nonEmptyString()),
    per_try_timeout: optional(span()),
  }),
  uint32(),
  (count) => ({ count }),
  isRecord,
);
export type Retries = v.InferOutput<typeof Retries>;

/** One route; the first that matches is taken. */
const RouteEntry = message(
  {
    name: optional(string(), ''),
    /** `/exact`, `/prefix/*`, or `~regex`; everything unless given. */
    path: optional(textMatcher(), '*'),
    methods: optional(oneOrMany(nonEmptyString(), list(nonEmptyString()))),
    headers: optional(mapOf(textMatcher()), {}),
    /** The name of an upstream, or names with weights. */
    to: optional(either(mapOf(uint32()), nonEmptyString(), (name) => ({ [name]: 1 }), isRecord)),
    redirect: optional(nonEmptyString()),
    respond: optional(message({ status: uint32({ min: 200, max: 599 }), body: optional(string()) })),
    /** Replaces the prefix that `path` matched. */
    rewrite: optional(nonEmptyString()),
    host: optional(nonEmptyString()),
    timeout: optional(span()),
    retries: optional(Retries),
  },
  oneof(['to', 'redirect', 'respond'], { required: true }),
  check((route) => {
    const extra = (['rewrite', 'host', 'timeout', 'retries'] as const).find((key) => route[key] !== undefined);
    if (route.to === undefined && extra !== undefined) return new Problem('needs "to"', { path: [extra] });
    if (route.path.suffix !== undefined || route.path.contains !== undefined) {
      return new Problem('a path can have a star at its end only', {
        path: ['path'],
        allowed: '/exact, /prefix/*, ~regex',
      });
    }
    return undefined;
  }),
);
type RouteEntry = v.InferOutput<typeof RouteEntry>;

export const Routes = list(RouteEntry);
export type Routes = v.InferOutput<typeof Routes>;

export interface RouteDefaults {
  readonly timeout: string | undefined;
  readonly retries: Retries | undefined;
  /** gRPC calls last as long as their own deadline says, and say themselves what may be tried again. */
  readonly isGrpc: boolean;
}

/** The canonical routes; `fallback` is the cluster of requests that no route matches, if there is one. */
export function routes(
  entries: Routes,
  fallback: string | undefined,
  defaults: RouteDefaults,
  provenance: Provenance,
  path: Path,
): Record<string, unknown>[] {
  const made = entries.map((entry, index) => provenance.mark([...path, index], route(entry, defaults)));
  if (fallback !== undefined)
    made.push({ match: { prefix: '/' }, route: { cluster: fallback, ...routeOptions(defaults) } });
  return made;
}

function route(entry: RouteEntry, defaults: RouteDefaults): Record<string, unknown> {
  const headers = Object.entries(entry.headers).map(([name, text]) => headerMatcher(name, text));
  if (entry.methods !== undefined) headers.push(methodMatcher(entry.methods));
  return {
    ...(entry.name === '' ? {} : { name: entry.name }),
    match: { ...pathMatch(entry.path), ...(headers.length === 0 ? {} : { headers }) },
    ...action(entry, defaults),
  };
}

function methodMatcher(methods: string[]): Record<string, unknown> {
  const names = methods.map((method) => method.toUpperCase());
  if (names.length === 1) return headerMatcher(':method', { exact: names[0]! });
  return headerMatcher(':method', { safe_regex: { regex: names.join('|') } });
}

function pathMatch(text: TextMatcher): Record<string, unknown> {
  if (text.present) return { prefix: '/' };
  if (text.exact !== undefined) return { path: text.exact };
  if (text.prefix !== undefined) return { prefix: text.prefix };
  return { safe_regex: text.safe_regex };
}

function action(entry: RouteEntry, defaults: RouteDefaults): Record<string, unknown> {
  if (entry.respond !== undefined) {
    const { status, body } = entry.respond;
    return { direct_response: { status, ...(body === undefined ? {} : { body: { inline_string: body } }) } };
  }
  if (entry.redirect !== undefined) return { redirect: redirect(entry.redirect) };
  const targets = Object.entries(entry.to ?? {});
  const clusters = targets.map(([name, weight]) => ({ name, weight }));
  return {
    route: {
      ...(targets.length === 1 ? { cluster: targets[0]![0] } : { weighted_clusters: { clusters } }),
      ...(entry.rewrite === undefined ? {} : { prefix_rewrite: entry.rewrite }),
      ...(entry.host === undefined ? {} : { host_rewrite_literal: entry.host }),
      ...routeOptions({
        timeout: entry.timeout ?? defaults.timeout,
        retries: entry.retries ?? defaults.retries,
        isGrpc: defaults.isGrpc,
      }),
    },
  };
}

const RETRY_ON = 'connect-failure,refused-stream,reset-before-request';
const GRPC_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled';

function routeOptions({ timeout, retries, isGrpc }: RouteDefaults): Record<string, unknown> {
  return {
    ...(isGrpc ? { max_stream_duration: callDuration(timeout) } : timeout === undefined ? {} : { timeout }),
    ...(retries === undefined || retries.count === 0
      ? {}
      : {
          retry_policy: {
            retry_on: retries.on ?? (isGrpc ? GRPC_RETRY_ON : RETRY_ON),
            num_retries: retries.count,
            ...(retries.per_try_timeout === undefined ? {} : { per_try_timeout: retries.per_try_timeout }),
          },
        }),
  };
}

/** A call lasts as long as its own `grpc-timeout` says, at most the timeout of the route. */
function callDuration(timeout: string | undefined): Record<string, unknown> {
  if (timeout === undefined) return { grpc_timeout_header_max: '0s' };
  return { max_stream_duration: timeout, grpc_timeout_header_max: timeout };
}

/** `https://host:port/path`, or a path alone. */
function redirect(target: string): Record<string, unknown> {
  const match = /^(?:(https?):\/\/([^/:]+)(?::(\d+))?)?(\/.*)?$/.exec(target);
  if (match === null) return { path_redirect: target };
  const [, scheme, host, port, path] = match;
  return {
    ...(scheme === undefined ? {} : { scheme_redirect: scheme }),
    ...(host === undefined ? {} : { host_redirect: host }),
    ...(port === undefined ? {} : { port_redirect: Number(port) }),
    ...(path === undefined ? {} : { path_redirect: path }),
  };
}
