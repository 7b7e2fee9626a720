import { hostname } from 'node:os';
import type { HttpStream } from '../../filter/http.ts';
import { newRequestId } from '../../http/request-id.ts';
import { formatFlags } from '../../http/response-flags.ts';
import { UNNAMED } from '../../network/local-end.ts';
import type { LocalEnd, StreamInfo, WireBytes } from '../stream-info.ts';
import { CERTIFICATE_OPERATORS } from './certificate-operators.ts';
import { toByteString } from './escape.ts';
import type { Field, FieldFactory } from './field.ts';
import { addressOf, joinAddress, portOf, textOrUnset } from './field.ts';
import { formatFlagsLong } from './long-flags.ts';

function plain(field: Field): FieldFactory {
  return (argument) => {
    if (argument !== undefined) throw new Error('takes no argument');
    return field;
  };
}

/** A text of the stream, '' of which is unset. */
function text(read: (info: StreamInfo) => string): FieldFactory {
  return plain((info) => textOrUnset(read(info)));
}

/**
 * Byte counts on the wire: 0 where the codec does not count them, as Envoy prints it. Of a TCP session all bytes are
 * `ofSession`.
 */
function wire(key: keyof WireBytes, ofSession?: 'bytesReceived' | 'bytesSent'): FieldFactory {
  return plain((info) => {
    if (info.request === undefined) return ofSession === undefined ? 0 : info[ofSession];
    return info.wireBytes?.[key] ?? 0;
  });
}

/** The port of the client is unknown (0) when its address comes from x-forwarded-for. */
function remotePort(info: StreamInfo): number {
  return info.remoteAddress === info.connection.remoteAddress ? info.connection.remotePort : 0;
}

/** The peer of the socket itself, whomever it stands for. */
function directPeer({ connection }: StreamInfo): { readonly remoteAddress: string; readonly remotePort: number } {
  return connection.direct ?? connection;
}

/** The local end of the socket itself, wherever the client wanted to go. */
function directLocal({ connection }: StreamInfo): LocalEnd {
  return connection.directLocal ?? connection;
}

/** Both ends of a Unix socket are its path, as Envoy has it. */
function hostOf(address: string, { connection }: StreamInfo): string {
  return address === '' ? (connection.pipe ?? '') : address;
}

/** There are no ports on a Unix socket; Envoy writes nothing then. */
function portIn({ connection }: StreamInfo, port: number): number | '' {
  return connection.pipe !== undefined && port === 0 ? '' : port;
}

/** Our end of a Unix socket has no name. */
function upstreamLocal({ upstreamLocalAddress: address }: StreamInfo): string {
  return address === UNNAMED ? '' : address;
}

/** The endpoint that was chosen is a peer only once there is a connection. */
function upstreamPeer(info: StreamInfo): string {
  return info.upstreamLocalAddress === '' ? '' : info.upstreamHost;
}

/** `NS`, `NS:K` or `NS:K:…` of dynamic metadata. */
const dynamicMetadata: FieldFactory = (argument) => {
  const [namespace, key, ...path] = (argument ?? '').split(':');
  if (namespace === undefined || namespace === '') throw new Error('needs (NAMESPACE) or (NAMESPACE:KEY[:KEY…])');
  return (info) => walk(info.getMetadata(namespace, key), path);
};

/** `METADATA(ROUTE:NS:K…)`; the other kinds of Envoy are not kept at run time. */
const metadata: FieldFactory = (argument) => {
  const [kind, namespace, ...path] = (argument ?? '').split(':');
  if (kind === 'DYNAMIC') return dynamicMetadata([namespace, ...path].join(':'));
  if (kind !== 'ROUTE' || namespace === undefined)
    throw new Error('needs (ROUTE:NAMESPACE[:KEY…]) or (DYNAMIC:NAMESPACE[:KEY…])');
  return (info) => walk((info as Partial<HttpStream>).route?.metadata[namespace], path);
};

function walk(value: unknown, path: readonly string[]): string | number | boolean | object | undefined {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return printable(at);
}

function printable(value: unknown): string | number | boolean | object | undefined {
  if (value === undefined || value === null || typeof value === 'function' || typeof value === 'symbol')
    return undefined;
  // Metadata is Unicode, a field is bytes.
  if (typeof value === 'string') return toByteString(value);
  return typeof value === 'bigint' ? String(value) : (value as number | boolean | object);
}

const filterState: FieldFactory = (argument) => {
  const [key, format = 'TYPED'] = (argument ?? '').split(':');
  if (key === undefined || key === '' || (format !== 'TYPED' && format !== 'PLAIN')) {
    throw new Error('needs (KEY) or (KEY:TYPED|PLAIN)');
  }
  if (format === 'TYPED') return (info) => printable(info.getFilterState(key));
  return (info) => {
    const value = info.getFilterState(key);
    return typeof value === 'object' && value !== null ? String(value) : printable(value);
  };
};

/** Read once, at load; unset is the text `-`, as in Envoy. */
const environment: FieldFactory = (argument) => {
  if (argument === undefined || argument === '') throw new Error('needs (VARIABLE)');
  const value = process.env[argument] ?? '-';
  return () => value;
};

const constant = (value: string): FieldFactory => plain(() => value);

/** Everything is logged once, at its end. */
export function logTypeOf(info: StreamInfo): 'TcpConnectionEnd' | 'DownstreamEnd' {
  return info.request === undefined ? 'TcpConnectionEnd' : 'DownstreamEnd';
}

/** Operators that read what is known of a stream besides its messages and times. */
export const STREAM_OPERATORS: Readonly<Record<string, FieldFactory>> = {
  PROTOCOL: plain((info) => info.request?.protocol),
  RESPONSE_CODE: plain((info) => info.responseCode),
  RESPONSE_CODE_DETAILS: text((info) => info.responseCodeDetails.replaceAll(' ', '_')),
  CONNECTION_TERMINATION_DETAILS: text((info) => info.connectionTerminationDetails),
  RESPONSE_FLAGS: plain((info) => formatFlags(info.responseFlags)),
  RESPONSE_FLAGS_LONG: plain((info) => formatFlagsLong(info.responseFlags)),
  BYTES_RECEIVED: plain((info) => info.bytesReceived),
  BYTES_SENT: plain((info) => info.bytesSent),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: wire('downstreamReceived', 'bytesReceived'),
  DOWNSTREAM_WIRE_BYTES_SENT: wire('downstreamSent', 'bytesSent'),
  DOWNSTREAM_HEADER_BYTES_RECEIVED: wire('downstreamHeadersReceived'),
  DOWNSTREAM_HEADER_BYTES_SENT: wire('downstreamHeadersSent'),
  UPSTREAM_WIRE_BYTES_RECEIVED: wire('upstreamReceived', 'bytesSent'),
  UPSTREAM_WIRE_BYTES_SENT: wire('upstreamSent', 'bytesReceived'),
  UPSTREAM_HEADER_BYTES_RECEIVED: wire('upstreamHeadersReceived'),
  UPSTREAM_HEADER_BYTES_SENT: wire('upstreamHeadersSent'),
  CONNECTION_ID: plain((info) => info.connection.id),
  REQUESTED_SERVER_NAME: text((info) => info.connection.serverName),
  DOWNSTREAM_REMOTE_ADDRESS: plain((info) => joinAddress(hostOf(info.remoteAddress, info), remotePort(info))),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: text((info) => hostOf(info.remoteAddress, info)),
  DOWNSTREAM_REMOTE_PORT: plain((info) => portIn(info, remotePort(info))),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: plain((info) => {
    const { remoteAddress, remotePort } = directPeer(info);
    return joinAddress(hostOf(remoteAddress, info), remotePort);
  }),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: text((info) => hostOf(directPeer(info).remoteAddress, info)),
  DOWNSTREAM_DIRECT_REMOTE_PORT: plain((info) => portIn(info, directPeer(info).remotePort)),
  DOWNSTREAM_LOCAL_ADDRESS: plain((info) =>
    joinAddress(hostOf(info.connection.localAddress, info), info.connection.localPort),
  ),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: text((info) => hostOf(info.connection.localAddress, info)),
  DOWNSTREAM_LOCAL_PORT: plain((info) => portIn(info, info.connection.localPort)),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: plain((info) => {
    const { localAddress, localPort } = directLocal(info);
    return joinAddress(hostOf(localAddress, info), localPort);
  }),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: text((info) => hostOf(directLocal(info).localAddress, info)),
  DOWNSTREAM_DIRECT_LOCAL_PORT: plain((info) => portIn(info, directLocal(info).localPort)),
  ...CERTIFICATE_OPERATORS,
  UPSTREAM_CLUSTER: text((info) => info.upstreamCluster),
  UPSTREAM_CLUSTER_RAW: text((info) => info.upstreamCluster),
  UPSTREAM_HOST: text((info) => info.upstreamHost),
  UPSTREAM_REMOTE_ADDRESS: text(upstreamPeer),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: plain((info) => addressOf(upstreamPeer(info))),
  UPSTREAM_REMOTE_PORT: plain((info) => portOf(upstreamPeer(info))),
  UPSTREAM_LOCAL_ADDRESS: text(upstreamLocal),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: plain((info) => addressOf(upstreamLocal(info))),
  UPSTREAM_LOCAL_PORT: plain((info) => portOf(upstreamLocal(info))),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: text((info) => info.downstreamTransportFailureReason.replaceAll(' ', '_')),
  UPSTREAM_TRANSPORT_FAILURE_REASON: text((info) => info.upstreamTransportFailureReason.replaceAll(' ', '_')),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: plain((info) => info.upstreamAttemptCount),
  TRACE_ID: plain((info) => info.trace?.traceId),
  SPAN_ID: plain((info) => info.trace?.spanId),
  ROUTE_NAME: text((info) => info.routeName),
  VIRTUAL_HOST_NAME: text((info) => info.virtualHostName),
  DYNAMIC_METADATA: dynamicMetadata,
  METADATA: metadata,
  FILTER_STATE: filterState,
  HOSTNAME: constant(hostname()),
  UNIQUE_ID: plain(() => newRequestId()),
  /** No filter sets flags of its own, and there are no virtual clusters. */
  CUSTOM_FLAGS: constant(''),
  VIRTUAL_CLUSTER_NAME: plain(() => undefined),
  ENVIRONMENT: environment,
  LOCAL_REPLY_BODY: plain((_, context) => context.localReplyBody ?? ''),
  ACCESS_LOG_TYPE: plain(logTypeOf),
};
