import type * as v from 'valibot';
import {
  enumOf,
  headerName,
  list,
  message,
  nonEmptyString,
  optional,
  unsupported,
} from '../src/config/schema/building-blocks.ts';
import { CidrRange } from '../src/config/schema/core-address.ts';
import { defineHttpFilter, type HttpStream } from '../src/filter/index.ts';
import type { RequestHead } from '../src/http/message.ts';
import { CidrTrie } from '../src/network/ip.ts';
import type { Counter } from '../src/observe/stats.ts';

/** envoy.extensions.filters.http.ip_tagging.v3.IPTagging. */
export const IpTagging = message(
  {
    request_type: optional(enumOf(['BOTH', 'INTERNAL', 'EXTERNAL']), 'BOTH'),
    ip_tags: list(message({ ip_tag_name: nonEmptyString(), ip_list: optional(list(CidrRange), []) }), { min: 1 }),
    ip_tag_header: optional(
      message({ header: headerName(), action: optional(enumOf(['SANITIZE', 'APPEND_IF_EXISTS_OR_ADD']), 'SANITIZE') }),
    ),
  },
  unsupported('give the ranges with ip_tags', 'ip_tags_file_provider'),
);
export type IpTagging = v.InferOutput<typeof IpTagging>;

/** What the ranges that hold an address amount to. */
interface Tagging {
  readonly header: string;
  readonly hits: readonly Counter[];
}

/**
 * Tags requests by the client's address (Envoy: envoy.filters.http.ip_tagging): the names of all ranges that hold it,
 * the narrowest first, go into `x-envoy-ip-tags` or a header of your own.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.ip_tagging.v3.IPTagging
 * request_type: BOTH
 * ip_tags:
 *   - ip_tag_name: office
 *     ip_list:
 *       - { address_prefix: 192.0.2.0, prefix_len: 24 }
 *       - { address_prefix: '2001:db8::', prefix_len: 32 }
 */
export const ipTagging = defineHttpFilter<IpTagging>({
  name: 'envoy.filters.http.ip_tagging',
  configType: 'envoy.extensions.filters.http.ip_tagging.v3.IPTagging',
  config: IpTagging,
  semantics: { side: 'either', state: 'none', body: 'none' },
  create(base, env) {
    const config = env.routeConfigs.at(-1) ?? base;
    const stats = env.stats.scope('ip_tagging');
    const total = stats.counter('total');
    const noHit = stats.counter('no_hit');
    const trie = new CidrTrie(
      config.ip_tags.flatMap((tag) => tag.ip_list.map((range) => [range, tag.ip_tag_name] as const)),
    );
    /** By the list that the trie gives for an address: the same list for the same ranges. */
    const taggings = new Map<readonly string[], Tagging>();
    const taggingOf = (names: readonly string[]): Tagging => {
      let tagging = taggings.get(names);
      if (tagging === undefined) {
        const unique = [...new Set(names)];
        tagging = { header: unique.join(','), hits: unique.map((name) => stats.counter(`${name}.hit`)) };
        taggings.set(names, tagging);
      }
      return tagging;
    };
    const isApplicable = compileRequestType(config.request_type);
    const apply = compileApply(config.ip_tag_header);
    return {
      onRequest(request, stream) {
        if (!isApplicable(request)) return;
        total.inc();
        const names = trie.lookupAll(stream.remoteAddress);
        if (names.length === 0) {
          noHit.inc();
          apply(request, stream, undefined);
          return;
        }
        const { header, hits } = taggingOf(names);
        for (let i = 0; i < hits.length; i++) (hits[i] as Counter).inc();
        apply(request, stream, header);
      },
    };
  },
});

function compileRequestType(type: IpTagging['request_type']): (request: RequestHead) => boolean {
  if (type === 'BOTH') return () => true;
  const wanted = type === 'INTERNAL';
  return (request) => (request.get('x-envoy-internal') === 'true') === wanted;
}

/** Writes the tags, undefined for none. What routes match on has then changed. */
function compileApply(
  option: IpTagging['ip_tag_header'],
): (request: RequestHead, stream: HttpStream, tags: string | undefined) => void {
  const name = option?.header ?? 'x-envoy-ip-tags';
  const replaces = option?.action === 'SANITIZE';
  return (request, stream, tags) => {
    if (tags === undefined) {
      if (replaces && request.remove(name)) stream.clearRouteCache();
      return;
    }
    const earlier = replaces ? undefined : request.get(name);
    request.set(name, earlier === undefined || earlier === '' ? tags : `${earlier},${tags}`);
    stream.clearRouteCache();
  };
}
