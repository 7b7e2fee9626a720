import type { Scenario } from '../harness/case.ts';
import { addresses } from './addresses.ts';
import {
  buffers,
  cors,
  faults,
  headerToMetadata,
  healthChecks,
  ipTags,
  ipTagsReversed,
  localRateLimit,
  mutations,
  rbacs,
} from './filters.ts';
import { grpcAnswers, grpcDeadlines, grpcManagerDeadline, grpcRetries } from './grpc.ts';
import { grpcStats } from './grpc-stats.ts';
import { grpcWeb } from './grpc-web.ts';
import { headerLevels, preservedCase, properCase, serverNames } from './headers.ts';
import { badChunks, headLimits, smallLimits, smuggling } from './hostile.ts';
import { faultsByHeader, faultsByRoute } from './injected-faults.ts';
import { interim, messages, proxiedInterim, trailers } from './messages.ts';
import { acceptedOldVersion, odd, oldVersion } from './odd.ts';
import { hosts, paths, underscores } from './paths.ts';
import { grpcReplies, localReplies } from './replies.ts';
import { matches, redirects, rewrites } from './routes.ts';
import { endsOfConnections } from './statistics.ts';
import { tcp, tcpDenied, tcpFailures } from './tcp.ts';
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
  headerLevels,
  preservedCase,
  properCase,
  ...serverNames,
  ...addresses,
  ...paths,
  ...hosts,
  ...underscores,
  localReplies,
  grpcReplies,
  grpcAnswers,
  grpcDeadlines,
  grpcManagerDeadline,
  grpcRetries,
  ...grpcStats,
  grpcWeb,
  ...rbacs,
  localRateLimit,
  ipTags,
  ipTagsReversed,
  cors,
  headerToMetadata,
  faults,
  faultsByHeader,
  faultsByRoute,
  buffers,
  healthChecks,
  mutations,
  endsOfConnections,
  tcp,
  tcpFailures,
  tcpDenied,
];
