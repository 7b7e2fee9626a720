import type { TypedConfig } from '../typed-config.ts';
import type {
  Http1ProtocolOptions,
  HttpProtocolOptions,
  UpstreamHttpProtocolOptions,
} from './http-protocol-options.ts';
import type { Http2ProtocolOptions } from './http2-protocol-options.ts';

/** The key under which a cluster says how it speaks HTTP. */
export const UPSTREAM_HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** How a cluster speaks HTTP; options that are not given mean Envoy's defaults. */
export interface UpstreamHttpOptions {
  /** DOWNSTREAM: as the client does. ALPN: as the upstream chooses when the TLS connection is made. */
  readonly protocol: 'HTTP1' | 'HTTP2' | 'DOWNSTREAM' | 'ALPN';
  readonly common: HttpProtocolOptions | undefined;
  readonly http1: Http1ProtocolOptions | undefined;
  readonly http2: Http2ProtocolOptions | undefined;
}

/** The fields of a cluster that say it. */
export interface HttpFieldsOfCluster {
  readonly typed_extension_protocol_options?: Readonly<Record<string, TypedConfig>>;
  readonly protocol_selection?: string;
  readonly common_http_protocol_options?: HttpProtocolOptions | undefined;
  readonly http_protocol_options?: Http1ProtocolOptions | undefined;
  readonly http2_protocol_options?: Http2ProtocolOptions | undefined;
}

/** From `typed_extension_protocol_options` or, failing that, from the cluster's own older fields. */
export function upstreamHttpOptions(cluster: HttpFieldsOfCluster): UpstreamHttpOptions {
  const typed = cluster.typed_extension_protocol_options?.[UPSTREAM_HTTP_OPTIONS] as
    | TypedConfig<UpstreamHttpProtocolOptions>
    | undefined;
  if (typed === undefined) {
    const http2 = cluster.http2_protocol_options;
    const isDownstream = cluster.protocol_selection === 'USE_DOWNSTREAM_PROTOCOL';
    return {
      protocol: isDownstream ? 'DOWNSTREAM' : http2 === undefined ? 'HTTP1' : 'HTTP2',
      common: cluster.common_http_protocol_options,
      http1: cluster.http_protocol_options,
      http2,
    };
  }
  const { common_http_protocol_options: common, explicit_http_config: explicit, ...others } = typed.value;
  const { use_downstream_protocol_config: downstream, auto_config: auto } = others;
  const config = explicit ?? downstream ?? auto;
  const explicitly = explicit?.http2_protocol_options === undefined ? 'HTTP1' : 'HTTP2';
  return {
    protocol: downstream !== undefined ? 'DOWNSTREAM' : auto !== undefined ? 'ALPN' : explicitly,
    common,
    http1: config?.http_protocol_options,
    http2: config?.http2_protocol_options,
  };
}
