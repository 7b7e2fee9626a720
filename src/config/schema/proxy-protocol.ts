import type * as v from 'valibot';
import {
  anyConfig,
  bool,
  bytes,
  check,
  enumOf,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  string,
  uint32,
  unsupported,
} from './building-blocks.ts';

/** The PROXY protocol: what listeners read (a listener filter) and clusters write (a transport socket). */

const Version = enumOf(['V1', 'V2']);
const tlvType = () => uint32({ max: 255 });

/** envoy.config.core.v3.ProxyProtocolPassThroughTLVs: the items that go on from clients to upstreams. */
export const PassThroughTlvs = message({
  match_type: optional(enumOf(['INCLUDE_ALL', 'INCLUDE']), 'INCLUDE_ALL'),
  tlv_type: optional(list(tlvType()), []),
});
export type PassThroughTlvs = v.InferOutput<typeof PassThroughTlvs>;

/** envoy.config.core.v3.TlvEntry: an item of version 2. */
export const TlvEntry = message(
  { type: tlvType(), value: bytes() },
  unsupported('give the value itself', 'format_string'),
  check((entry) => {
    const { length } = entry.value;
    if (length > 0 && length <= 65535) return undefined;
    return new Problem(`has ${length} bytes`, { path: ['value'], allowed: '1 to 65535 bytes' });
  }),
);
export type TlvEntry = v.InferOutput<typeof TlvEntry>;

/** envoy.config.core.v3.ProxyProtocolConfig: the header that upstreams get. */
export const ProxyProtocolConfig = message({
  version: optional(Version, 'V1'),
  pass_through_tlvs: optional(PassThroughTlvs),
  added_tlvs: optional(list(TlvEntry), []),
});
export type ProxyProtocolConfig = v.InferOutput<typeof ProxyProtocolConfig>;

/** envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport: a header, and another socket behind it. */
export const ProxyProtocolUpstreamTransport = message({
  config: optional(ProxyProtocolConfig, {}),
  transport_socket: message({ name: nonEmptyString(), typed_config: anyConfig('upstream_transport_socket') }),
});
export type ProxyProtocolUpstreamTransport = v.InferOutput<typeof ProxyProtocolUpstreamTransport>;

const Rule = message({
  tlv_type: optional(tlvType(), 0),
  /** Where the item's value goes: a key of the connection's metadata. */
  on_tlv_present: optional(
    message(
      { metadata_namespace: optional(string(), ''), key: nonEmptyString() },
      unsupported('values are kept as text', 'value_string_encoding'),
    ),
  ),
});

/** envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol. */
export const ProxyProtocol = message(
  {
    rules: optional(list(Rule), []),
    allow_requests_without_proxy_protocol: optional(bool(), false),
    pass_through_tlvs: optional(PassThroughTlvs),
    disallowed_versions: optional(list(Version), []),
    stat_prefix: optional(string(), ''),
    tlv_location: optional(
      enumOf(['DYNAMIC_METADATA', 'FILTER_STATE'], { FILTER_STATE: 'values are kept in dynamic metadata' }),
      'DYNAMIC_METADATA',
    ),
  },
  check((filter) =>
    new Set(filter.disallowed_versions).size < 2
      ? undefined
      : new Problem('leaves no version', { path: ['disallowed_versions'], allowed: 'at most one of V1 and V2' }),
  ),
);
export type ProxyProtocol = v.InferOutput<typeof ProxyProtocol>;
