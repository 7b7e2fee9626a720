import { type Reply, reply } from '../filter/verdict.ts';
import { parseIp } from '../network/ip.ts';
import type { HttpSettings } from './connection-manager-settings.ts';
import { KNOWN } from './http1/header-names.ts';
import type { RequestHead } from './message.ts';
import { newRequestId, TRACE_REASON, withTraceReason } from './request-id.ts';
import { appendVia } from './response-mutations.ts';
import type { HttpStream } from './stream.ts';

/** `x-envoy-` headers that steer the router; from outside the mesh they are not taken (Envoy's connection manager). */
const INTERNAL_ONLY = new Set([
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-hedge-on-per-try-timeout',
]);
const EDGE_ONLY = new Set([
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
]);

const UNDERSCORES = reply(400, { body: 'Bad Request', details: 'http1.unexpected_underscore', flag: 'DPE' });
const NOT_ABSOLUTE = reply(404, { details: 'absolute_path_rejected' });
const BAD_PATH = reply(400, { details: 'path_normalization_failed' });

/**
 * What the connection manager does to every request before filters and routes see it: path normalisation, host
 * clean-up, the client's address, internal headers, request id. Returns a reply when the request is refused.
 */
export function mutateRequest(stream: HttpStream): Reply | undefined {
  const { manager, request } = stream;
  const { settings } = manager;
  if (settings.underscores !== 'ALLOW') {
    const refusal = checkUnderscores(request, settings.underscores);
    if (refusal !== undefined) return refusal;
  }
  // `OPTIONS *`, or an absolute target with a query and no path.
  if (request.path.charCodeAt(0) !== 47 && request.method !== 'CONNECT') {
    manager.stats.downstreamRqNonRelativePath.inc();
    return NOT_ABSOLUTE;
  }
  if (manager.normalizePath !== undefined && request.path !== '') {
    const result = manager.normalizePath(request.path);
    if (result.kind === 'reject') {
      manager.stats.downstreamRqFailedPathNormalization.inc();
      return BAD_PATH;
    }
    if (result.kind === 'redirect') {
      return reply(307, { headers: { location: result.path }, details: 'path_normalization_failed' });
    }
    request.path = result.path;
  }
  if (manager.normalizeAuthority !== undefined)
    request.authority = manager.normalizeAuthority(request.authority, stream.connection.localPort);
  const internal = setRemoteAddress(stream);
  const edge = settings.useRemoteAddress && !internal;
  if (request.present & (1 << KNOWN.ANY_ENVOY)) removeEnvoyHeaders(request, internal, edge);
  if (!internal) {
    const { internalOnlyHeaders } = manager.routes;
    for (let i = 0; i < internalOnlyHeaders.length; i++) request.remove(internalOnlyHeaders[i] as string);
  }
  if (internal) request.set('x-envoy-internal', 'true');
  else if (edge) request.set('x-envoy-external-address', stream.remoteAddress);
  settings.clientCert.apply(request, stream.connection.tls);
  if (settings.addUserAgent) tellSender(request, manager.node);
  setRequestId(request, edge, settings);
  if (settings.via !== '') appendVia(request, settings.via);
  return undefined;
}

/** Sets the stream's remote address and the x-forwarded headers; true when the request comes from inside. */
function setRemoteAddress(stream: HttpStream): boolean {
  const { request, connection } = stream;
  const { settings, internalAddresses } = stream.manager;
  if (connection.tls !== undefined && !settings.overwritesScheme) request.scheme = 'https';
  const forwarded = request.present & (1 << KNOWN.X_FORWARDED_FOR) ? request.get('x-forwarded-for') : undefined;
  const hops = settings.xffNumTrustedHops;
  if (settings.useRemoteAddress) {
    if (hops > 0 && forwarded !== undefined)
      stream.remoteAddress = fromEnd(forwarded, hops - 1) ?? connection.remoteAddress;
    if (!settings.skipXffAppend && connection.remoteAddress !== '') {
      request.set(
        'x-forwarded-for',
        forwarded === undefined || forwarded === ''
          ? connection.remoteAddress
          : `${forwarded},${connection.remoteAddress}`,
      );
    }
    if (hops > 0 && request.present & (1 << KNOWN.X_FORWARDED_PROTO)) takeForwardedScheme(request, settings);
    else request.set('x-forwarded-proto', request.scheme);
    if (settings.appendXForwardedPort) request.set('x-forwarded-port', String(connection.localPort));
  } else {
    if (forwarded !== undefined) stream.remoteAddress = fromEnd(forwarded, hops) ?? connection.remoteAddress;
    if (request.present & (1 << KNOWN.X_FORWARDED_PROTO)) takeForwardedScheme(request, settings);
    else request.append('x-forwarded-proto', request.scheme);
  }
  if (internalAddresses === undefined && !settings.unixSocketsAreInternal) return false;
  // With the peer's own address, nothing may have come through a proxy; else its one word for it is taken.
  const single = settings.useRemoteAddress
    ? forwarded === undefined
    : forwarded !== undefined && !forwarded.includes(',');
  if (stream.remoteAddress === '') return single && settings.unixSocketsAreInternal;
  return single && internalAddresses?.has(stream.remoteAddress) === true;
}

/** The scheme that the client used towards the first proxy: redirects keep it. */
function takeForwardedScheme(request: RequestHead, settings: HttpSettings): void {
  if (settings.overwritesScheme) return;
  const scheme = request.get('x-forwarded-proto');
  if (scheme === 'https' || scheme === 'http') request.scheme = scheme;
}

/** The address `skip` places before the last of a list; undefined when it is not there or no address. */
function fromEnd(list: string, skip: number): string | undefined {
  let end = list.length;
  for (let i = 0; i < skip; i++) {
    end = list.lastIndexOf(',', end - 1);
    if (end < 0) return undefined;
  }
  const address = list.substring(list.lastIndexOf(',', end - 1) + 1, end).trim();
  return parseIp(address) === undefined ? undefined : address;
}

function removeEnvoyHeaders(request: RequestHead, internal: boolean, edge: boolean): void {
  for (let i = 0; i < request.length; i++) {
    const name = request.names[i] as string;
    if (!name.startsWith('x-envoy-')) continue;
    if (name === 'x-envoy-internal' || (!internal && INTERNAL_ONLY.has(name)) || (edge && EDGE_ONLY.has(name))) {
      request.names[i] = '';
    }
  }
}

/** Who sends this request, for services that see it next (`add_user_agent`). */
function tellSender(request: RequestHead, node: { readonly id: string; readonly cluster: string }): void {
  request.set('x-envoy-downstream-service-cluster', node.cluster);
  if ((request.get('user-agent') ?? '') === '') request.set('user-agent', node.cluster);
  if (node.id !== '') request.set('x-envoy-downstream-service-node', node.id);
}

function setRequestId(
  request: RequestHead,
  edge: boolean,
  settings: { generateRequestId: boolean; preserveExternalRequestId: boolean; packsTraceReason: boolean },
): void {
  if (!settings.generateRequestId) return;
  if (!(request.present & (1 << KNOWN.X_REQUEST_ID))) request.append('x-request-id', newRequestId());
  else if (edge && !settings.preserveExternalRequestId) request.set('x-request-id', newRequestId());
  else if (edge && settings.packsTraceReason)
    request.set('x-request-id', withTraceReason(request.get('x-request-id') ?? '', TRACE_REASON.NOT_TRACEABLE));
}

function checkUnderscores(request: RequestHead, action: 'REJECT_REQUEST' | 'DROP_HEADER'): Reply | undefined {
  for (let i = 0; i < request.length; i++) {
    if (!(request.names[i] as string).includes('_')) continue;
    if (action === 'REJECT_REQUEST') return UNDERSCORES;
    request.names[i] = '';
  }
  return undefined;
}
