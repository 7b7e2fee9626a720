import { createCipheriv, createHmac } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';

const HANDSHAKE = 22;
const APPLICATION_DATA = 23;
const KEY_UPDATE = 24;

/** HKDF-Expand-Label (RFC 8446 §7.1) for SHA-256. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

/** A client of TLS 1.3 on a wire of which a test writes the records itself once the handshake is over. */
export class RecordClient implements AsyncDisposable {
  private readonly client: TLSSocket;
  private readonly relay: Socket;
  private secret: Buffer;
  private sequence = 0;
  private key: Buffer;
  private iv: Buffer;
  isClosed = false;

  private constructor(client: TLSSocket, relay: Socket, secret: Buffer) {
    this.client = client;
    this.relay = relay;
    this.secret = secret;
    this.key = expand(secret, 'key', 16);
    this.iv = expand(secret, 'iv', 12);
    relay.once('close', () => {
      this.isClosed = true;
    });
  }

  /** @param port of a server that agrees on AES with 128 bits. What it says after the handshake is not looked at. */
  static async connect(port: number): Promise<RecordClient> {
    const relays: Socket[] = [];
    const server = createServer((near) => {
      const far = connect(port, '127.0.0.1').on('error', () => {});
      near.on('error', () => {});
      near.pipe(far).pipe(near);
      relays.push(far, near);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = tlsConnect({
      port: (server.address() as AddressInfo).port,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
    });
    client.on('error', () => {}).resume();
    const secret = new Promise<Buffer>((resolve) => {
      client.on('keylog', (line: Buffer) => {
        const found = /^CLIENT_TRAFFIC_SECRET_0 \S+ (\S+)/.exec(line.toString())?.[1];
        if (found !== undefined) resolve(Buffer.from(found, 'hex'));
      });
    });
    // The ticket: what the client had to say of the handshake has gone before it.
    await new Promise<void>((resolve) => client.once('session', () => resolve()));
    const [far, near] = relays as [Socket, Socket];
    near.unpipe(far);
    far.unpipe(near).resume();
    server.close();
    return new RecordClient(client, far, await secret);
  }

  private record(type: number, body: Buffer): Buffer {
    const length = body.length + 1 + 16;
    const head = Buffer.from([APPLICATION_DATA, 3, 3, length >> 8, length & 0xff]);
    const nonce = Buffer.from(this.iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.sequence++) >>> 0, 8);
    const cipher = createCipheriv('aes-128-gcm', this.key, nonce);
    cipher.setAAD(head);
    return Buffer.concat([
      head,
      cipher.update(body),
      cipher.update(Buffer.from([type])),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  }

  data(text: string): Buffer {
    return this.record(APPLICATION_DATA, Buffer.from(text, 'latin1'));
  }

  /** @param isAnswered whether the server has to change its keys too. */
  keyUpdate(isAnswered: boolean): Buffer {
    const record = this.record(HANDSHAKE, Buffer.from([KEY_UPDATE, 0, 0, 1, isAnswered ? 1 : 0]));
    this.secret = expand(this.secret, 'traffic upd', 32);
    this.key = expand(this.secret, 'key', 16);
    this.iv = expand(this.secret, 'iv', 12);
    this.sequence = 0;
    return record;
  }

  write(...records: readonly Buffer[]): void {
    this.relay.write(Buffer.concat(records));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.destroy();
    this.relay.destroy();
  }
}
