import type { FoundPeer } from './peer.ts';

/** No proxy: the load goes to the backend, whose limit this shows. */
export function findDirect(): FoundPeer {
  return {
    peer: {
      name: 'direct',
      version: '',
      description: 'no proxy',
      supports: (scenario) => scenario.downstream === scenario.upstream,
      prepare: async () => undefined,
    },
  };
}
