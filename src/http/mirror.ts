import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { HttpPool } from '../upstream/connection-pool.ts';
import { poolOf } from '../upstream/pools.ts';
import type { UpstreamCodec, UpstreamEvents } from './codec.ts';
import { HeaderMap } from './headers.ts';
import { RequestHead, ResponseHead } from './message.ts';
import type { MirrorPolicy } from './route/mirror-policy.ts';
import type { HttpStream } from './stream.ts';

/** Longest life of a mirrored request where its route sets no timeout. */
const DEFAULT_TIMEOUT_MS = 15_000;
const HOST_AND_PORT = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/;

/** A copy of a request on its way to a shadow cluster; the response is read and thrown away. */
export class MirroredRequest implements UpstreamEvents {
  readonly upstreamHead: ResponseHead = new ResponseHead();
  readonly upstreamTrailers: HeaderMap = new HeaderMap();
  private readonly request: RequestHead;
  private readonly cluster: Cluster;
  private readonly timeoutMs: number;
  private readonly client: ConnectionInfo;
  private body: Buffer | undefined = undefined;
  private codec: UpstreamCodec | undefined = undefined;
  private pool: HttpPool | undefined = undefined;
  private timeout: NodeJS.Timeout | undefined = undefined;

  constructor(request: RequestHead, cluster: Cluster, timeoutMs: number, client: ConnectionInfo) {
    this.client = client;
    this.request = request;
    this.cluster = cluster;
    this.timeoutMs = timeoutMs;
  }

  /** Sends the copy with its whole body, and forgets about it. */
  send(body: Buffer | undefined): void {
    const endpoint = this.cluster.pick(undefined, 0, { connection: this.client, request: this.request });
    if (endpoint === undefined) return;
    this.body = body;
    this.timeout = setTimeout(() => this.giveUp(), this.timeoutMs);
    this.timeout.unref();
    this.pool = poolOf(this.cluster, endpoint, 'DEFAULT', this.request.protocol === 'HTTP/2', this.client);
    this.pool.acquire(this, false);
  }

  private giveUp(): void {
    this.cluster.stats.upstreamRqTimeout.inc();
    if (this.codec === undefined) this.pool?.cancel(this);
    else this.codec.resetStream();
    this.codec = undefined;
  }

  onUpstreamReady(codec: UpstreamCodec): void {
    this.codec = codec;
    const { body } = this;
    const length = body?.length ?? 0;
    try {
      codec.writeHead(this.request, length === 0, length);
    } catch {
      // A policy made a copy that cannot be sent. That is no matter of the request that was copied.
      clearTimeout(this.timeout);
      this.codec = undefined;
      codec.resetStream();
      return;
    }
    if (body === undefined || length === 0) return;
    codec.writeBody(body, 0, length, false);
    codec.finish(undefined);
  }

  onUpstreamHead(head: ResponseHead, endStream: boolean): void {
    this.cluster.stats.countResponse(head.status);
    if (endStream) clearTimeout(this.timeout);
  }

  onUpstreamEnd(): void {
    clearTimeout(this.timeout);
  }

  onUpstreamReset(): void {
    clearTimeout(this.timeout);
  }

  onUpstreamInterim(): void {}
  onUpstreamBody(): void {}
  onUpstreamDrain(): void {}
  onUpstreamCongested(): void {}
}

/** Copies for the policies that want one of this request; undefined when none does. They are sent once its body is known. */
export function copyForMirrors(
  stream: HttpStream,
  policies: readonly MirrorPolicy[],
  timeoutMs: number,
): MirroredRequest[] | undefined {
  const copies: MirroredRequest[] = [];
  for (const policy of policies) {
    const copy = policy.sampled() ? copyForMirror(stream, policy, timeoutMs) : undefined;
    if (copy !== undefined) copies.push(copy);
  }
  return copies.length === 0 ? undefined : copies;
}

/**
 * Copies a request's head as it goes upstream, with what the policy changes. The copy tells its receiver that it is
 * internal and who sent it, as Envoy's does. Undefined when the policy's cluster does not exist.
 */
function copyForMirror(stream: HttpStream, policy: MirrorPolicy, timeoutMs: number): MirroredRequest | undefined {
  const source = stream.request;
  const name = policy.clusterHeader === '' ? policy.cluster : (source.get(policy.clusterHeader) ?? '');
  const cluster = stream.manager.clusters.get(name);
  if (cluster === undefined) return undefined;
  const copy = new RequestHead();
  copy.protocol = source.protocol;
  copy.method = source.method;
  copy.path = source.path;
  copy.receivedPath = source.receivedPath;
  copy.scheme = source.scheme;
  for (const [header, value] of source) {
    if (header !== 'host' && header !== 'content-length') copy.append(header, value);
  }
  copy.authority = policy.hostRewrite === '' ? source.authority : policy.hostRewrite;
  if (policy.appendShadowSuffix) copy.authority = copy.authority.replace(HOST_AND_PORT, '$1-shadow$2');
  copy.set('x-envoy-internal', 'true');
  const forwarded = copy.get('x-forwarded-for');
  const { localAddress } = stream.connection;
  copy.set('x-forwarded-for', forwarded === undefined ? localAddress : `${forwarded},${localAddress}`);
  for (const mutate of policy.requestMutators) mutate(copy, stream);
  return new MirroredRequest(copy, cluster, timeoutMs || DEFAULT_TIMEOUT_MS, stream.connection);
}
