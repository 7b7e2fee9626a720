import { findDirect } from './direct.ts';
import { findEnvoy } from './envoy.ts';
import { findHaproxy } from './haproxy.ts';
import { findNginx } from './nginx.ts';
import { findOutrigger } from './outrigger.ts';
import { type FoundPeer, PEER_NAMES, type PeerName } from './peer.ts';

/** Looks for a peer on this machine. */
export function findPeer(name: PeerName, root: string): FoundPeer {
  switch (name) {
    case 'direct':
      return findDirect();
    case 'outrigger':
      return findOutrigger(root);
    case 'envoy':
      return findEnvoy(root);
    case 'nginx':
      return findNginx();
    case 'haproxy':
      return findHaproxy();
  }
}

/** @throws when the text is no peer's name, listing those that are */
export function parsePeerName(text: string): PeerName {
  const name = PEER_NAMES.find((known) => known === text);
  if (name === undefined) throw new Error(`no peer is called "${text}"; there are ${PEER_NAMES.join(', ')}`);
  return name;
}
