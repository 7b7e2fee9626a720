import * as v from 'valibot';
import { check, fixedBool, int32, list, message, oneof, optional, Problem, type Schema } from './building-blocks.ts';

/** envoy.type.v3.Int32Range, of ports: `end` is the first one that does not belong to it. */
const PortRange = message(
  { start: optional(int32(), 0), end: optional(int32(), 0) },
  check((range) =>
    range.start < range.end
      ? undefined
      : new Problem('holds no port', {
          path: ['end'],
          allowed: 'a port above start: end does not belong to the range',
        }),
  ),
);

/** envoy.config.listener.v3.ListenerFilterChainMatchPredicate: exactly one of its fields. */
export interface ListenerFilterMatch {
  or_match?: { rules: ListenerFilterMatch[] } | undefined;
  and_match?: { rules: ListenerFilterMatch[] } | undefined;
  not_match?: ListenerFilterMatch | undefined;
  any_match?: boolean | undefined;
  destination_port_range?: { start: number; end: number } | undefined;
}

const predicate: Schema<ListenerFilterMatch> = v.lazy(() => ListenerFilterMatch);
const MatchSet = message({ rules: list(predicate, { min: 2 }) });

export const ListenerFilterMatch: Schema<ListenerFilterMatch> = message(
  {
    or_match: optional(MatchSet),
    and_match: optional(MatchSet),
    not_match: optional(predicate),
    any_match: optional(fixedBool(true, 'a rule that never matches says nothing')),
    destination_port_range: optional(PortRange),
  },
  oneof(['or_match', 'and_match', 'not_match', 'any_match', 'destination_port_range'], { required: true }),
);

/** envoy.extensions.filters.listener.original_dst.v3.OriginalDst. */
export const OriginalDst = message({});

/** envoy.extensions.filters.listener.http_inspector.v3.HttpInspector. */
export const HttpInspector = message({});
export type HttpInspector = v.InferOutput<typeof HttpInspector>;
