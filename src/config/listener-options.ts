import { bool, message, optional } from './schema/building-blocks.ts';
import { Problem, runSchema } from './schema/schema.ts';

/** Under this name in `filter_metadata` a listener has what is ours alone: Envoy leaves it unread. */
export const OWN_METADATA = 'outrigger.v1';

/** outrigger.v1.ListenerOptions. */
const ListenerOptions = message({
  /** While inspectors wait for the client's first bytes, listen for those of the server. */
  race_server_first: optional(bool(), false),
});

interface WithMetadata {
  readonly metadata?: { readonly filter_metadata: Readonly<Record<string, Record<string, unknown>>> } | undefined;
}

/** What is wrong with a listener's options. */
export function listenerOptionsProblem(listener: WithMetadata): Problem | undefined {
  const given = listener.metadata?.filter_metadata[OWN_METADATA];
  if (given === undefined) return undefined;
  const [issue] = runSchema(ListenerOptions, given, {}).issues ?? [];
  if (issue === undefined) return undefined;
  const path = (issue.path ?? []).map(({ key }) => key as string | number);
  return new Problem(issue.message, { path: ['metadata', 'filter_metadata', OWN_METADATA, ...path] });
}

/** Whether servers may speak first behind the inspectors of a listener. */
export function racesServers(listener: WithMetadata): boolean {
  return listener.metadata?.filter_metadata[OWN_METADATA]?.race_server_first === true;
}
