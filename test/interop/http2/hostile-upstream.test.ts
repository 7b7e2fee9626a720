import { describe, test } from 'vitest';
import { CONNECTIONS } from '../../http/http2/hostile/connections.ts';
import { MESSAGES } from '../../http/http2/hostile/messages.ts';
import { hostileUpstreams } from '../../http/http2/hostile/run.ts';
import { STREAMS } from '../../http/http2/hostile/streams.ts';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';

/** What is expected of Outrigger, held to Envoy: `envoy` in a case says where they differ. */
describe('Envoy before', () => {
  if (findEnvoy() === undefined) test('hostile upstreams', (context) => context.skip(NO_ENVOY));
  else hostileUpstreams('envoy', [...MESSAGES, ...STREAMS, ...CONNECTIONS]);
});
