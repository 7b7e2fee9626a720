import { describe, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { grpcCalls, type Language } from './calls.ts';
import { missingPython } from './python-peers.ts';

const PAIRS: readonly (readonly [client: Language, server: Language])[] = [
  ['grpc-js', 'grpc-js'],
  ['Python', 'grpc-js'],
  ['grpc-js', 'Python'],
  ['Python', 'Python'],
];

describe.each(['outrigger'] as const)('%s between', (proxy) => {
  describe.each(PAIRS)('a client of %s and a server of %s', (client, server) => {
    const reason = client === 'Python' || server === 'Python' ? missingPython() : undefined;
    if (reason === undefined) grpcCalls(proxy, client, server);
    else test('every kind of call', (context) => context.skip(reason));
  });
});

// One pair proves that the tests are right.
describe('Envoy between a client of grpc-js and a server of Python', () => {
  const reason = findEnvoy() === undefined ? NO_ENVOY : missingPython();
  if (reason === undefined) grpcCalls('envoy', 'grpc-js', 'Python');
  else test('every kind of call', (context) => context.skip(reason));
});
