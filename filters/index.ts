import { type AnyHttpFilter, type AnyNetworkFilter, FilterRegistry } from '../src/filter/registry.ts';
import { buffer } from './buffer.ts';
import { connectionLimit } from './connection-limit.ts';
import { cors } from './cors.ts';
import { fault } from './fault/fault.ts';
import { grpcStats } from './grpc-stats/grpc-stats.ts';
import { grpcWeb } from './grpc-web/grpc-web.ts';
import { headerMutation } from './header-mutation.ts';
import { headerToMetadata } from './header-to-metadata/header-to-metadata.ts';
import { healthCheck } from './health-check.ts';
import { ipTagging } from './ip-tagging.ts';
import { jwtAuthn } from './jwt-authn/jwt-authn.ts';
import { localRateLimit } from './local-ratelimit/local-ratelimit.ts';
import { networkRateLimit } from './ratelimit/network.ts';
import { rateLimit } from './ratelimit/ratelimit.ts';
import { httpRbac } from './rbac/http.ts';
import { networkRbac } from './rbac/network.ts';
import { tap } from './tap/tap.ts';

/** Every HTTP filter that comes with the proxy. The router is part of the connection manager. */
export const HTTP_FILTERS: readonly AnyHttpFilter[] = [
  buffer,
  cors,
  fault,
  grpcStats,
  grpcWeb,
  headerMutation,
  headerToMetadata,
  healthCheck,
  httpRbac,
  ipTagging,
  jwtAuthn,
  localRateLimit,
  rateLimit,
  tap,
];

/** Every network filter that comes with the proxy, besides the terminal ones. */
export const NETWORK_FILTERS: readonly AnyNetworkFilter[] = [connectionLimit, networkRateLimit, networkRbac];

/** The filters that a configuration may name when no others are loaded. */
export function builtinRegistry(): FilterRegistry {
  return new FilterRegistry(HTTP_FILTERS, NETWORK_FILTERS);
}
