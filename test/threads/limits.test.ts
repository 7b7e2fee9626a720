import { it } from 'vitest';
import { limitsStory } from './limits-story.ts';

it('rate limits, circuit breakers and outlier detection mean with two threads what they mean with one', async () => {
  await limitsStory('outrigger');
}, 60_000);
