import type { HeaderMap } from '../http/headers.ts';
import type { RequestHead, ResponseHead } from '../http/message.ts';
import type { Tlv } from '../network/proxy-protocol/header.ts';

/** Facts of one downstream connection, computed once when it is accepted. Addresses are without port and brackets. */
export interface ConnectionInfo {
  /** Counts up from 1 within a worker. */
  readonly id: number;
  /** The peer's address as the socket has it; for a Unix socket ''. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The address that the client connected to (before interception where the original destination is known). */
  readonly localAddress: string;
  readonly localPort: number;
  /** Server name of the TLS handshake, '' without. */
  readonly serverName: string;
  readonly tls: TlsInfo | undefined;
  /** The socket's own local end, where the local one is another that the client wanted to reach. */
  readonly directLocal?: LocalEnd | undefined;
  /** Whether the local end is where the client wanted to go, as a listener filter has found out. */
  readonly isRestored?: boolean | undefined;
  /** The peer of the socket itself, where a PROXY protocol header named the client that it stands for. */
  readonly direct?: { readonly remoteAddress: string; readonly remotePort: number } | undefined;
  /** The path of the Unix socket that the client connected to, `@name` for an abstract one; undefined for TCP. */
  readonly pipe?: string | undefined;
  /** Items of that header which may go on to upstreams. */
  readonly proxyTlvs?: readonly Tlv[] | undefined;
}

/** The local end of a connection. */
export interface LocalEnd {
  readonly localAddress: string;
  readonly localPort: number;
}

/** What the TLS handshake of a connection established. */
export interface TlsInfo {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** OpenSSL's name. */
  readonly cipher: string;
  /** The protocol that was agreed on, '' without. */
  readonly alpn: string;
  /** True when a client certificate was presented and verified. */
  readonly peerVerified: boolean;
  /** Names of the peer's certificate, whether or not it was verified. */
  readonly peerUriSans: readonly string[];
  readonly peerDnsSans: readonly string[];
  /** As RFC 2253 writes it, '' without a certificate. */
  readonly peerSubject: string;
  /** What few ask for; absent where no real handshake was done. */
  readonly certificates?: TlsCertificates | undefined;
}

/** The certificates of a connection, whether or not they were verified. */
export interface TlsCertificates {
  readonly peer: CertificateView | undefined;
  /** The peer's certificate and what it sent along; for a resumed session its certificate alone. */
  readonly peerChain: readonly CertificateView[];
  /** Ours; not known any more once the connection is closed. */
  readonly local: CertificateView | undefined;
  /** In hexadecimal, '' without. */
  readonly sessionId: string;
  /** `x-forwarded-client-cert` of the connection, and for whom it was made. */
  forwarded: { readonly by: object; readonly text: string } | undefined;
}

/** One certificate; numbers and fingerprints in lower-case hexadecimal. */
export interface CertificateView {
  /** As RFC 2253 writes it. */
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly fingerprint256: string;
  readonly fingerprint1: string;
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly emailSans: readonly string[];
  readonly otherNameSans: readonly string[];
  /** Milliseconds since the epoch. */
  readonly validFromMs: number;
  readonly validToMs: number;
  /** PEM, URL-encoded. */
  readonly encodedPem: string;
}

/** Bytes of one stream on the wire, heads and framing included; the header counts are the heads alone. */
export interface WireBytes {
  readonly downstreamReceived: number;
  readonly downstreamSent: number;
  readonly downstreamHeadersReceived: number;
  readonly downstreamHeadersSent: number;
  readonly upstreamReceived: number;
  readonly upstreamSent: number;
  readonly upstreamHeadersReceived: number;
  readonly upstreamHeadersSent: number;
}

/**
 * Everything that access logs, `%…%` operators and policies may ask of one HTTP stream or one TCP session. Times are
 * milliseconds on the monotonic clock (`performance.now`), 0 where the event has not happened; sizes are bytes.
 */
export interface StreamInfo {
  readonly connection: ConnectionInfo;
  /** The client's address after x-forwarded-for and trusted hops; the connection's own for TCP. */
  readonly remoteAddress: string;
  /** Wall clock at the start, milliseconds since the epoch. */
  readonly startTimeEpochMs: number;
  readonly startMs: number;
  /** Last byte of the request received. */
  readonly requestEndMs: number;
  /** First byte sent upstream, last byte sent upstream, first byte and last byte of the upstream's response. */
  readonly upstreamTxBeginMs: number;
  readonly upstreamTxEndMs: number;
  readonly upstreamRxBeginMs: number;
  readonly upstreamRxEndMs: number;
  /** First and last byte of the response sent downstream. */
  readonly downstreamTxBeginMs: number;
  readonly downstreamTxEndMs: number;
  /** When the stream ended; durations are counted to here. */
  readonly endMs: number;
  /** Body bytes (for TCP: all bytes). */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Absent where the codec does not count them; the operators then print 0. */
  readonly wireBytes?: WireBytes | undefined;
  /** undefined for TCP. */
  readonly request: RequestHead | undefined;
  readonly requestTrailers: HeaderMap | undefined;
  /** The response as it was sent downstream; undefined when none was sent, and for TCP. */
  readonly response: ResponseHead | undefined;
  readonly responseTrailers: HeaderMap | undefined;
  /** 0 when no response was sent. */
  readonly responseCode: number;
  /** Bits of `FLAG` in `src/http/response-flags.ts`. */
  readonly responseFlags: number;
  /** Envoy's words for how the response came about, such as `via_upstream`; '' when unset. */
  readonly responseCodeDetails: string;
  readonly connectionTerminationDetails: string;
  /** Name of the upstream cluster, '' when none was chosen. */
  readonly upstreamCluster: string;
  /** `ip:port` or pipe path of the endpoint, '' when none was chosen. */
  readonly upstreamHost: string;
  /** `ip:port` of our side of the upstream connection, `@` over a Unix socket, '' when there is none. */
  readonly upstreamLocalAddress: string;
  /** TLS of the upstream connection; undefined without. */
  readonly upstreamTls?: TlsInfo | undefined;
  readonly upstreamTransportFailureReason: string;
  /** Why the client's TLS handshake failed, in Envoy's words; '' when it did not. */
  readonly downstreamTransportFailureReason: string;
  /** Attempts made, 1 without retries, 0 when none was made. */
  readonly upstreamAttemptCount: number;
  readonly routeName: string;
  readonly virtualHostName: string;
  /** The trace that the stream belongs to, and the span of its request; undefined where nobody is told of traces. */
  readonly trace?: { readonly traceId: string; readonly spanId: string } | undefined;
  /** Tracing decided for this stream. */
  readonly isTraceable?: boolean;
  /** A value that a filter left for others: `get('envoy.lb', 'canary')`. */
  getMetadata(namespace: string, key?: string): unknown;
  getFilterState(key: string): unknown;
}
