import { it } from 'vitest';
import { overloadStory } from '../overload/overload-story.ts';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';

it('Envoy refuses and takes again what Outrigger does, as a pressure rises and falls', async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  await overloadStory('envoy');
}, 60_000);
