import type { FilterPage } from '../src/filter/page.ts';
import { bufferPage } from './buffer.page.ts';
import { downstreamTlsPage } from './built-in/downstream-tls.page.ts';
import { connectionManagerPage } from './built-in/http-connection-manager.page.ts';
import { httpInspectorPage } from './built-in/http-inspector.page.ts';
import { originalDstPage } from './built-in/original-dst.page.ts';
import { proxyProtocolPage } from './built-in/proxy-protocol.page.ts';
import { routerPage } from './built-in/router.page.ts';
import { tcpProxyPage } from './built-in/tcp-proxy.page.ts';
import { tlsInspectorPage } from './built-in/tls-inspector.page.ts';
import { upstreamProxyProtocolPage } from './built-in/upstream-proxy-protocol.page.ts';
import { upstreamTlsPage } from './built-in/upstream-tls.page.ts';
import { connectionLimitPage } from './connection-limit.page.ts';
import { corsPage } from './cors.page.ts';
import { faultPage } from './fault/page.ts';
import { grpcStatsPage } from './grpc-stats/page.ts';
import { grpcWebPage } from './grpc-web/page.ts';
import { headerMutationPage } from './header-mutation.page.ts';
import { headerToMetadataPage } from './header-to-metadata/page.ts';
import { healthCheckPage } from './health-check.page.ts';
import { ipTaggingPage } from './ip-tagging.page.ts';
import { jwtAuthnPage } from './jwt-authn/page.ts';
import { localRateLimitPage } from './local-ratelimit/page.ts';
import { networkRateLimitPage } from './ratelimit/network.page.ts';
import { rateLimitPage } from './ratelimit/page.ts';
import { httpRbacPage } from './rbac/http.page.ts';
import { networkRbacPage } from './rbac/network.page.ts';
import { tapPage } from './tap/page.ts';

/** A page for each filter and transport socket that comes with the proxy; docs/filters is made of them. */
export const FILTER_PAGES: readonly FilterPage[] = [
  bufferPage,
  corsPage,
  faultPage,
  grpcStatsPage,
  grpcWebPage,
  headerMutationPage,
  headerToMetadataPage,
  healthCheckPage,
  ipTaggingPage,
  jwtAuthnPage,
  localRateLimitPage,
  rateLimitPage,
  httpRbacPage,
  tapPage,
  connectionLimitPage,
  networkRateLimitPage,
  networkRbacPage,
  routerPage,
  connectionManagerPage,
  tcpProxyPage,
  downstreamTlsPage,
  httpInspectorPage,
  originalDstPage,
  proxyProtocolPage,
  tlsInspectorPage,
  upstreamProxyProtocolPage,
  upstreamTlsPage,
];
