import { Agent as HttpAgent, request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Issued } from '../../support/pki.ts';
import type { Request, Way } from './grammar.ts';

/** Sends requests in the ways of one proxy's clients; connections are kept per way. */
export class Client implements Disposable {
  private readonly agents = new Map<string, HttpAgent | HttpsAgent>();
  private readonly certificates: Readonly<Record<string, Issued>>;

  constructor(certificates: Readonly<Record<string, Issued>>) {
    this.certificates = certificates;
  }

  /** The status; of a connection that was refused 0. `number` names the request in the access log. */
  send(port: number, way: Way, request: Request, route: number, number: number): Promise<number> {
    const headers: OutgoingHttpHeaders = { host: request.host, 'x-case': String(route), 'x-number': String(number) };
    if (request.forwardedFor !== undefined) headers['x-forwarded-for'] = request.forwardedFor;
    if (request.a !== undefined) headers['x-a'] = onTheWire(request.a);
    if (request.b.length > 0) headers['x-b'] = request.b.map(onTheWire);
    if (request.c !== undefined) headers['x-c'] = request.c;
    if (request.sub !== undefined) headers['x-sub'] = onTheWire(request.sub);
    if (request.payload !== undefined) headers['x-payload'] = protobufValue(request.payload).toString('base64');
    return new Promise((resolve) => {
      const { method, path } = request;
      const options = { host: '127.0.0.1', port, method, path, headers, agent: this.agentOf(way, port) };
      const outgoing = way.tls ? httpsRequest(options) : httpRequest(options);
      outgoing.on('error', () => resolve(0));
      outgoing.on('response', (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', () => resolve(0));
      });
      outgoing.end();
    });
  }

  [Symbol.dispose](): void {
    for (const agent of this.agents.values()) agent.destroy();
  }

  private agentOf(way: Way, port: number): HttpAgent | HttpsAgent {
    const key = JSON.stringify([way, port]);
    let agent = this.agents.get(key);
    if (agent === undefined) {
      const issued = way.certificate === undefined ? {} : this.certificates[way.certificate];
      agent = way.tls
        ? new HttpsAgent({
            ...issued,
            keepAlive: true,
            localAddress: way.from,
            // Envoy forgets that the certificate of a resumed session was validated.
            maxCachedSessions: 0,
            rejectUnauthorized: false,
            servername: way.serverName,
          })
        : new HttpAgent({ keepAlive: true, localAddress: way.from });
      this.agents.set(key, agent);
    }
    return agent;
  }
}

/** UTF-8 as Node writes it into a head: byte by byte. */
function onTheWire(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A google.protobuf.Value. */
function protobufValue(value: unknown): Buffer {
  if (value === null) return Buffer.from([0x08, 0]);
  if (typeof value === 'boolean') return Buffer.from([0x20, value ? 1 : 0]);
  if (typeof value === 'string') return field(3, Buffer.from(value, 'utf8'));
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9, 0x11);
    bytes.writeDoubleLE(value, 1);
    return bytes;
  }
  if (Array.isArray(value)) return field(6, Buffer.concat(value.map((part) => field(1, protobufValue(part)))));
  const entries = Object.entries(value as object).map(([key, part]) =>
    field(1, Buffer.concat([field(1, Buffer.from(key, 'utf8')), field(2, protobufValue(part))])),
  );
  return field(5, Buffer.concat(entries));
}

/** A field with a length below 16384. */
function field(number: number, content: Buffer): Buffer {
  const length = content.length < 128 ? [content.length] : [(content.length & 0x7f) | 0x80, content.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
}
