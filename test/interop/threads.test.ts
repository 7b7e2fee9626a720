import { it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { limitsStory } from '../threads/limits-story.ts';

it('Envoy’s limits let pass with two threads what Outrigger’s do', async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  await limitsStory('envoy');
}, 60_000);
