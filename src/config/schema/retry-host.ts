import type * as v from 'valibot';
import { int32, message, optional } from './building-blocks.ts';
import { Metadata } from './core.ts';

/** envoy.extensions.retry: which endpoints further tries go to. */

/** The types of `retry_host_predicate`. */
export const RETRY_HOST = {
  previousHosts: 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
  omitCanaryHosts: 'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate',
  omitHostMetadata: 'envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig',
  /** Those that need no configuration may be given by name alone. */
  byName: {
    'envoy.retry_host_predicates.previous_hosts':
      'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
    'envoy.retry_host_predicates.omit_canary_hosts':
      'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate',
  } as Readonly<Record<string, string | undefined>>,
} as const;

/** The type of `retry_priority`. */
export const PREVIOUS_PRIORITIES = 'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig';

/** envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig. */
export const OmitHostMetadataConfig = message({
  /** Endpoints whose metadata under envoy.lb has all these values are passed over. */
  metadata_match: optional(Metadata),
});
export type OmitHostMetadataConfig = v.InferOutput<typeof OmitHostMetadataConfig>;

/** envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig. */
export const PreviousPrioritiesConfig = message({
  /** After how many tries the priorities that were tried are passed over. */
  update_frequency: int32({ min: 1 }),
});
export type PreviousPrioritiesConfig = v.InferOutput<typeof PreviousPrioritiesConfig>;
