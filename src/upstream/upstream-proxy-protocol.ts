import type { Socket } from 'node:net';
import type { ProxyProtocolConfig } from '../config/schema/proxy-protocol.ts';
import type { ProxiedEnds, Tlv } from '../network/proxy-protocol/header.ts';
import { passesTlv } from '../network/proxy-protocol/pass-through.ts';
import { writeV1, writeV2 } from '../network/proxy-protocol/write-header.ts';
import type { Counter, StatsScope } from '../observe/stats.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';

/** The PROXY protocol header that connections to the endpoints of a cluster begin with, before TLS if there is any. */
export class UpstreamProxyProtocol {
  private readonly version: ProxyProtocolConfig['version'];
  private readonly added: readonly Tlv[];
  private readonly passes: (type: number) => boolean;
  private readonly tlvsExceedMaxLength: Counter;

  /** @param scope the cluster's */
  constructor(config: ProxyProtocolConfig, scope: StatsScope) {
    this.version = config.version;
    this.added = config.added_tlvs;
    const addedTypes = new Set(this.added.map((tlv) => tlv.type));
    const passes = passesTlv(config.pass_through_tlvs);
    // What the configuration adds takes the place of what clients sent, as in Envoy.
    this.passes = (type) => passes(type) && !addedTypes.has(type);
    this.tlvsExceedMaxLength = scope.counter('upstream.proxyprotocol.v2_tlvs_exceed_max_length');
  }

  /** Whether connections for the client are its alone: those of other clients would be announced as other ones. */
  isAbout(client: ConnectionInfo | undefined): client is ConnectionInfo {
    return client !== undefined && client.remoteAddress !== '';
  }

  /**
   * Writes the header on a socket that has just connected, and answers its length. `client` is undefined where nobody
   * asked for the connection, such as that of a health check.
   */
  announce(socket: Socket, client: ConnectionInfo | undefined): number {
    const header = this.version === 'V1' ? writeV1(endsOf(client) ?? ownEnds(socket)) : this.headerV2(client);
    socket.write(header);
    return header.length;
  }

  private headerV2(client: ConnectionInfo | undefined): Buffer {
    const passed = (client?.proxyTlvs ?? []).filter(({ type }) => this.passes(type));
    const { header, fits } = writeV2(endsOf(client), [...this.added, ...passed]);
    if (!fits) this.tlvsExceedMaxLength.inc();
    return header;
  }
}

/** Undefined for a client without IP address: it came over a Unix socket. */
function endsOf(client: ConnectionInfo | undefined): ProxiedEnds | undefined {
  if (client === undefined || client.remoteAddress === '') return undefined;
  return {
    sourceAddress: client.remoteAddress,
    sourcePort: client.remotePort,
    destinationAddress: client.localAddress,
    destinationPort: client.localPort,
  };
}

/** Version 1 cannot say that a connection is the proxy's own: it names that one's ends, as Envoy does. */
function ownEnds(socket: Socket): ProxiedEnds | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (localAddress === undefined || remoteAddress === undefined) return undefined;
  return {
    sourceAddress: localAddress,
    sourcePort: localPort ?? 0,
    destinationAddress: remoteAddress,
    destinationPort: remotePort ?? 0,
  };
}
