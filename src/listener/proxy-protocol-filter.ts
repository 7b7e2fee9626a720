import { isUtf8 } from 'node:buffer';
import type { ProxyProtocol } from '../config/schema/proxy-protocol.ts';
import { mayBegin, type ProxyHeader, V1_SIGNATURE, V2_SIGNATURE } from '../network/proxy-protocol/header.ts';
import { passesTlv } from '../network/proxy-protocol/pass-through.ts';
import { readProxyHeader } from '../network/proxy-protocol/read-header.ts';
import type { Counter, StatsScope } from '../observe/stats.ts';
import type { DataVerdict, IncomingConnection, ListenerFilter } from './listener-filters.ts';

/** Where items go whose rule names no namespace. */
const OWN_NAMESPACE = 'envoy.filters.listener.proxy_protocol';

/**
 * Takes the PROXY protocol header from the beginning of connections, which then count as those of the client that it
 * names. Who may connect can say to be anybody: the listener must be reachable for trusted proxies only.
 */
export class ProxyProtocolFilter implements ListenerFilter {
  private readonly config: ProxyProtocol;
  private readonly stats: ProxyProtocolStats;
  private readonly passes: (type: number) => boolean;
  private readonly allows: Readonly<Record<1 | 2, boolean>>;

  /** @param root of all statistics */
  constructor(config: ProxyProtocol, root: StatsScope) {
    this.config = config;
    this.stats = new ProxyProtocolStats(config.stat_prefix, root);
    this.passes = passesTlv(config.pass_through_tlvs);
    this.allows = {
      1: !config.disallowed_versions.includes('V1'),
      2: !config.disallowed_versions.includes('V2'),
    };
  }

  onData(incoming: IncomingConnection, bytes: Buffer): DataVerdict {
    const { stats } = this;
    if (this.config.allow_requests_without_proxy_protocol && !this.mayBeHeader(bytes)) {
      stats.notFoundAllowed.inc();
      return undefined;
    }
    const header = readProxyHeader(bytes);
    if (typeof header === 'number') return header;
    if ('reason' in header) {
      const { version, reason } = header;
      if (version !== 0 && !this.allows[version]) return this.deny(version, incoming);
      if (version === 0) stats.notFoundDisallowed.inc();
      else stats.versions[version].error.inc();
      stats.proxyProtoError.inc();
      incoming.refusal = { flag: 0, details: `proxy_protocol_error: ${reason}` };
      return 'close';
    }
    if (!this.allows[header.version]) return this.deny(header.version, incoming);
    stats.versions[header.version].found.inc();
    this.apply(header, incoming);
    incoming.consume(header.byteLength);
    return undefined;
  }

  /** Where a header may be missing, one of a version that is not allowed is taken for something else. */
  private mayBeHeader(bytes: Buffer): boolean {
    return (this.allows[1] && mayBegin(bytes, V1_SIGNATURE)) || (this.allows[2] && mayBegin(bytes, V2_SIGNATURE));
  }

  private deny(version: 1 | 2, incoming: IncomingConnection): 'close' {
    const { found, disallowed } = this.stats.versions[version];
    found.inc();
    disallowed.inc();
    incoming.refusal = { flag: 0, details: `proxy_protocol_error: version ${version} is disallowed` };
    return 'close';
  }

  private apply({ ends, tlvs }: ProxyHeader, incoming: IncomingConnection): void {
    if (ends !== undefined) {
      const { remoteAddress, remotePort } = incoming;
      incoming.direct ??= { remoteAddress, remotePort };
      if (incoming.localAddress !== ends.destinationAddress || incoming.localPort !== ends.destinationPort) {
        incoming.restoreLocal(ends.destinationAddress, ends.destinationPort);
      }
      incoming.remoteAddress = ends.sourceAddress;
      incoming.remotePort = ends.sourcePort;
    }
    if (tlvs.length === 0) return;
    const passed = tlvs.filter(({ type }) => this.passes(type));
    if (passed.length > 0) incoming.proxyTlvs = passed;
    for (const { tlv_type: type, on_tlv_present: place } of this.config.rules) {
      // Of several items of a type, the first one counts: Envoy keeps what is there.
      const item = tlvs.find((tlv) => tlv.type === type);
      if (item === undefined || place === undefined) continue;
      incoming.setMetadata(place.metadata_namespace || OWN_NAMESPACE, place.key, textOf(item.value));
    }
  }
}

/** The statistics of the filter, under Envoy's names; those of all listeners together. */
class ProxyProtocolStats {
  readonly notFoundDisallowed: Counter;
  readonly notFoundAllowed: Counter;
  readonly versions: Readonly<Record<1 | 2, { found: Counter; disallowed: Counter; error: Counter }>>;
  /** Envoy's older one. */
  readonly proxyProtoError: Counter;

  constructor(prefix: string, root: StatsScope) {
    const scope = root.scope(prefix === '' ? 'proxy_proto' : `proxy_proto.${prefix}`);
    this.notFoundDisallowed = scope.counter('not_found_disallowed');
    this.notFoundAllowed = scope.counter('not_found_allowed');
    const ofVersion = (version: string) => {
      const own = scope.scope(`versions.${version}`);
      return { found: own.counter('found'), disallowed: own.counter('disallowed'), error: own.counter('error') };
    };
    this.versions = { 1: ofVersion('v1'), 2: ofVersion('v2') };
    this.proxyProtoError = root.counter('downstream_cx_proxy_proto_error');
  }
}

/** An item's value as text: what is not UTF-8 becomes `!`, byte by byte, as in Envoy. */
function textOf(value: Buffer): string {
  if (isUtf8(value)) return value.toString('utf8');
  let text = '';
  for (let at = 0; at < value.length; ) {
    const length = characterBytes(value, at);
    text += length === 0 ? '!' : value.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return text;
}

/** How many bytes the character at `at` has; 0 where there is none. */
function characterBytes(value: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= value.length; length++) {
    if (isUtf8(value.subarray(at, at + length))) return length;
  }
  return 0;
}
