import { HeaderMap } from './headers.ts';
import { UpstreamWire } from './wire-count.ts';

/** Version of the protocol that a message came in or goes out with, as %PROTOCOL% prints it. */
export type HttpProtocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';

/**
 * The head of a request: pseudo-headers as fields (RFC 9113 §8.3.1; for HTTP/1 taken from the request line and Host)
 * and the header fields. `get` also takes `:method`, `:path`, `:authority`, `:scheme` and `host`, as Envoy's matchers
 * and log operators do.
 */
export class RequestHead extends HeaderMap {
  method = '';
  /** Path and query as the policies evaluate it and as it is forwarded: normalised when the manager says so. */
  path = '';
  /** Host (HTTP/1) or :authority; '' when the request has none (HTTP/1.0). */
  authority = '';
  scheme: 'http' | 'https' = 'http';
  protocol: HttpProtocol = 'HTTP/1.1';
  /** The connection may serve another request. */
  keepAlive = true;
  /** Value of Upgrade where the connection asks for one, in lower case, else ''. */
  upgrade = '';
  /** The client waits for a 100 before it sends the body. */
  expectContinue = false;
  /** Bits `1 << KNOWN.X` of the headers that came; codec and connection manager only. */
  present = 0;
  /** Authority and path as they came, for the codec to see what was changed. */
  receivedAuthority = '';
  receivedPath = '';

  override get(name: string): string | undefined {
    return name.charCodeAt(0) === 58 || name === 'host' ? this.pseudo(name) : super.get(name);
  }

  override has(name: string): boolean {
    return name.charCodeAt(0) === 58 || name === 'host' ? this.pseudo(name) !== undefined : super.has(name);
  }

  override set(name: string, value: string, spelling?: string): void {
    switch (name) {
      case ':method':
        this.method = value;
        break;
      case ':path':
        this.path = value;
        break;
      case ':authority':
      case 'host':
      case 'Host':
        this.authority = value;
        break;
      case ':scheme':
        this.scheme = value === 'https' ? 'https' : 'http';
        break;
      default:
        super.set(name, value, spelling);
    }
  }

  override add(name: string, value: string, spelling?: string): void {
    // These have one value: a second Host line would let two readers of one request disagree.
    if (name.charCodeAt(0) === 58 || name.toLowerCase() === 'host') this.set(name.toLowerCase(), value);
    else super.add(name, value, spelling);
  }

  /** Codec only: forgets a request whose head could not be read. */
  clear(): void {
    this.reset('');
    this.method = '';
    this.path = '';
    this.authority = '';
    this.protocol = 'HTTP/1.1';
    this.upgrade = '';
    this.expectContinue = false;
    this.present = 0;
    this.receivedAuthority = '';
    this.receivedPath = '';
  }

  /** Whether some `x-envoy-` header came with the request. */
  get hasEnvoyHeaders(): boolean {
    return this.present < 0;
  }

  /** Brings the Host line in step with `authority`, before an HTTP/1 head is written. */
  writeHost(): void {
    if (this.authority !== this.receivedAuthority || this.indexOf('host') < 0) super.set('host', this.authority);
  }

  private pseudo(name: string): string | undefined {
    switch (name) {
      case ':method':
        return this.method === '' ? undefined : this.method;
      case ':path':
        return this.path === '' ? undefined : this.path;
      case ':authority':
      case 'host':
        return this.authority === '' ? undefined : this.authority;
      case ':scheme':
        return this.scheme;
      default:
        return undefined;
    }
  }
}

/** The head of a response; `get(':status')` answers the status as text. */
export class ResponseHead extends HeaderMap {
  status = 200;
  /** Of the exchange with an upstream that this head is the response of, once it is over. */
  readonly wire = new UpstreamWire();
  /** Bits `1 << KNOWN.X` of the headers that came; codec and connection manager only. */
  present = 0;

  override get(name: string): string | undefined {
    return name === ':status' ? String(this.status) : super.get(name);
  }

  override has(name: string): boolean {
    return name === ':status' || super.has(name);
  }

  override set(name: string, value: string, spelling?: string): void {
    if (name === ':status') this.status = Number(value);
    else super.set(name, value, spelling);
  }
}
