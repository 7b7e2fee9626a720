import type { Scenario } from '../harness/case.ts';
import { badChunks, headLimits, smallLimits, smuggling } from './hostile.ts';
import { interim, messages, proxiedInterim, trailers } from './messages.ts';
import { acceptedOldVersion, odd, oldVersion } from './odd.ts';
import { matches, redirects, rewrites } from './routes.ts';
import { noTunnels, tunnels } from './tunnels.ts';
import { retries, times, upstreams } from './upstream.ts';

/** Every table of cases. */
export const scenarios: readonly Scenario[] = [
  messages,
  interim,
  proxiedInterim,
  trailers,
  odd,
  oldVersion,
  acceptedOldVersion,
  smuggling,
  badChunks,
  headLimits,
  smallLimits,
  upstreams,
  times,
  retries,
  tunnels,
  noTunnels,
  matches,
  redirects,
  rewrites,
];
