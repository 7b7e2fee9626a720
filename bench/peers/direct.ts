import type { FoundPeer } from './peer.ts';

/** No proxy: the load goes to the backend, whose limit this shows. */
export function findDirect(): FoundPeer {
  return {
    peer: {
      name: 'direct',
      version: '',
      description: 'no proxy',
      // It would speak over other sockets than the proxies.
      supports: ({ downstream, upstream, pipes }) => downstream === upstream && pipes === undefined,
      prepare: async () => undefined,
    },
  };
}
