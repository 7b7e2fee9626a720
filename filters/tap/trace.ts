import type { HeaderMap } from '../../src/http/headers.ts';
import { RequestHead, ResponseHead } from '../../src/http/message.ts';
import { fromWireText } from '../../src/matching/wire-text.ts';
import type { StreamInfo } from '../../src/observe/stream-info.ts';
import type { Redaction } from './redaction.ts';

/** The messages of envoy.data.tap.v3 in the JSON form that Envoy writes: every scalar is there, in order of the fields. */

export interface HeaderValue {
  readonly key: string;
  readonly value: string;
  readonly raw_value: '';
}

export interface Body {
  readonly as_bytes?: string;
  readonly as_string?: string;
  readonly truncated: boolean;
}

/** What is told of a body in either format. */
export type BodyFormat = 'as_bytes' | 'as_string';

type HeaderRedaction = Pick<Redaction, 'header' | 'body'>;

/** A TraceWrapper as text, with its line end. */
export function traceText(trace: object): string {
  return `${JSON.stringify(trace, undefined, 1)}\n`;
}

/** Pseudo-headers in front, as Envoy has them. */
export function headersOf(headers: HeaderMap, redaction: HeaderRedaction): HeaderValue[] {
  const list: HeaderValue[] = [];
  const push = (key: string, value: string): void => {
    list.push({ key, value: fromWireText(redaction.header(key, value)), raw_value: '' });
  };
  if (headers instanceof RequestHead) {
    for (const name of [':authority', ':path', ':method', ':scheme']) {
      const value = headers.get(name);
      if (value !== undefined) push(name, value);
    }
  } else if (headers instanceof ResponseHead) push(':status', String(headers.status));
  for (const [name, value] of headers.entries()) if (name !== 'host') push(name, value);
  return list;
}

/** The first bytes of a body. */
export class BodyRecord {
  readonly #max: number;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #truncated = false;

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  add(chunk: Buffer): void {
    const room = this.#max - this.#length;
    if (chunk.length > room) this.#truncated = true;
    if (room <= 0 || chunk.length === 0) return;
    const kept = Buffer.from(chunk.subarray(0, room));
    this.#chunks.push(kept);
    this.#length += kept.length;
  }

  /** Undefined for a body that was empty. */
  toJson(format: BodyFormat, contentType: string, redaction: HeaderRedaction): Body | undefined {
    if (this.#chunks.length === 0 && !this.#truncated) return undefined;
    const bytes = redaction.body(contentType, Buffer.concat(this.#chunks));
    return format === 'as_bytes'
      ? { as_bytes: bytes.toString('base64'), truncated: this.#truncated }
      : { as_string: bytes.toString('utf8'), truncated: this.#truncated };
  }
}

/** envoy.data.tap.v3.Connection. */
export function connectionOf(local: object, remote: object): object {
  return { local_address: local, remote_address: remote };
}

export function downstreamConnection({ connection }: StreamInfo): object {
  return connectionOf(
    addressOf(connection.localAddress, connection.localPort),
    addressOf(connection.remoteAddress, connection.remotePort),
  );
}

/** Undefined while there is none. */
export function upstreamConnection(stream: StreamInfo): object | undefined {
  if (stream.upstreamLocalAddress === '') return undefined;
  return connectionOf(splitAddress(stream.upstreamLocalAddress), splitAddress(stream.upstreamHost));
}

/** `ip:port`, `[ip]:port` or the path of a pipe. */
function splitAddress(text: string): object {
  const colon = text.startsWith('/') || text.startsWith('@') ? -1 : text.lastIndexOf(':');
  if (colon < 0) return addressOf(text, 0);
  return addressOf(text.slice(0, colon).replace(/^\[|\]$/g, ''), Number(text.slice(colon + 1)));
}

/** envoy.config.core.v3.Address. */
function addressOf(address: string, port: number): object {
  if (address === '' || address.startsWith('/') || address.startsWith('@')) return { pipe: { path: address, mode: 0 } };
  return {
    socket_address: {
      protocol: 'TCP',
      address,
      port_value: port,
      resolver_name: '',
      ipv4_compat: false,
      network_namespace_filepath: '',
    },
  };
}
