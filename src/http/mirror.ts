import { poolOf } from '../upstream/pools.ts';
import type { UpstreamCodec, UpstreamEvents } from './codec.ts';
import { RequestHead, ResponseHead } from './message.ts';
import type { HttpStream } from './stream.ts';

/** Longest life of a mirrored request. */
const MIRROR_TIMEOUT_MS = 15_000;

/**
 * A copy of a request to a shadow cluster; its response is read and thrown away. The authority gets `-shadow` behind
 * its host, as in Envoy. Requests with a body are mirrored by their head alone where the body is not at hand.
 */
class MirrorExchange implements UpstreamEvents {
  readonly upstreamHead: ResponseHead = new ResponseHead();
  private readonly request: RequestHead;
  private readonly body: Buffer | undefined;
  private codec: UpstreamCodec | undefined = undefined;
  private readonly timeout: NodeJS.Timeout;

  constructor(request: RequestHead, body: Buffer | undefined) {
    this.request = request;
    this.body = body;
    this.timeout = setTimeout(() => this.codec?.resetStream(), MIRROR_TIMEOUT_MS);
    this.timeout.unref();
  }

  onUpstreamReady(codec: UpstreamCodec): void {
    this.codec = codec;
    const length = this.body?.length ?? 0;
    codec.writeHead(this.request, length === 0, length);
    if (this.body === undefined || length === 0) return;
    codec.writeBody(this.body, 0, length, false);
    codec.finish(undefined);
  }

  onUpstreamEnd(): void {
    clearTimeout(this.timeout);
  }

  onUpstreamReset(): void {
    clearTimeout(this.timeout);
  }

  onUpstreamHead(_head: ResponseHead, endStream: boolean): void {
    if (endStream) clearTimeout(this.timeout);
  }

  onUpstreamInterim(): void {}
  onUpstreamBody(): void {}
  onUpstreamDrain(): void {}
  onUpstreamCongested(): void {}
}

/** Sends a copy of the stream's request to a cluster, and forgets about it. */
export function startMirror(stream: HttpStream, clusterName: string, body?: Buffer): void {
  const cluster = stream.manager.clusters.get(clusterName);
  const endpoint = cluster?.pick(undefined);
  if (cluster === undefined || endpoint === undefined) return;
  const source = stream.request;
  const copy = new RequestHead();
  copy.method = source.method;
  copy.path = source.path;
  copy.receivedPath = source.receivedPath;
  copy.authority = source.authority.replace(/^([^:]+)(:\d+)?$/, '$1-shadow$2');
  for (const [name, value] of source) {
    if (name !== 'host' && name !== 'content-length') copy.append(name, value);
  }
  poolOf(cluster, endpoint, 'DEFAULT').acquire(new MirrorExchange(copy, body), false);
}
