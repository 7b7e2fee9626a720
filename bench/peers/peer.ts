import type { CompanionPorts } from '../policies/companions.ts';
import type { Fixtures } from '../policies/fixtures.ts';
import type { Command } from '../run/children.ts';
import type { Scenario } from '../scenario.ts';

export type PeerName = 'direct' | 'outrigger' | 'envoy' | 'nginx' | 'haproxy';

export const PEER_NAMES: readonly PeerName[] = ['direct', 'outrigger', 'envoy', 'nginx', 'haproxy'];

/** One run of a peer: where it listens and what stands behind it. */
export interface PeerRun {
  readonly scenario: Scenario;
  readonly listenPort: number;
  readonly backendPort: number;
  /** Identities and tokens, and the services that policies call, where the scenario needs them. */
  readonly fixtures?: Fixtures | undefined;
  readonly companions?: CompanionPorts;
  /** For its configuration and logs; its working directory too. */
  readonly directory: string;
}

/** A proxy that is measured, as it was found on this machine. */
export interface Peer {
  readonly name: PeerName;
  readonly version: string;
  /** Which program this is, in words. */
  readonly description: string;
  supports(scenario: Scenario): boolean;
  /**
   * Writes the configuration into the run's directory.
   *
   * @returns how to start it; undefined when there is no process, and the load goes to the backend
   */
  prepare(run: PeerRun): Promise<Command | undefined>;
}

/** A peer, or why there is none and what to do about it. */
export type FoundPeer = { readonly peer: Peer } | { readonly missing: string };
