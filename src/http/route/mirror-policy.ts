import type { RequestMirrorPolicy } from '../../config/schema/route-components.ts';
import { compileFraction } from '../../matching/fraction.ts';
import { toWireText } from '../../matching/wire-text.ts';
import { compileHeaderMutation, type HeaderMutator } from './header-mutations.ts';

/** Where copies of requests go. */
export interface MirrorPolicy {
  /** '' when a header names it. */
  readonly cluster: string;
  /** Lower-case name of the header that names the cluster; '' without. */
  readonly clusterHeader: string;
  /** Whether to copy this request; asks for randomness, so once per request. */
  readonly sampled: () => boolean;
  /** Whether the authority gets `-shadow` behind its host. */
  readonly appendShadowSuffix: boolean;
  /** Replaces the authority; '' keeps it. */
  readonly hostRewrite: string;
  /** Applied to the copy, in order. */
  readonly requestMutators: readonly HeaderMutator[];
}

/**
 * Compiles envoy.config.route.v3.RouteAction.RequestMirrorPolicy; without a fraction every request is copied.
 *
 * @throws FormatError
 */
export function compileMirrorPolicy(config: RequestMirrorPolicy, random: () => number): MirrorPolicy {
  const fraction = config.runtime_fraction;
  return {
    cluster: config.cluster,
    clusterHeader: config.cluster_header ?? '',
    sampled: fraction === undefined ? () => true : compileFraction(fraction, random),
    appendShadowSuffix: !config.disable_shadow_host_suffix_append,
    hostRewrite: toWireText(config.host_rewrite_literal),
    requestMutators: config.request_headers_mutations.map(compileHeaderMutation),
  };
}
