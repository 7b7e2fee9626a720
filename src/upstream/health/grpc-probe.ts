import type { GrpcHealthCheck } from '../../config/schema/health-check.ts';
import type { UpstreamCodec } from '../../http/codec.ts';
import { isGrpcContentType } from '../../http/grpc/content-type.ts';
import { GRPC, parseGrpcStatus } from '../../http/grpc/status.ts';
import { grpcTimeout } from '../../http/grpc/timeout.ts';
import type { HeaderMap } from '../../http/headers.ts';
import { RequestHead } from '../../http/message.ts';
import { compileHeaderMutations, type HeaderMutator } from '../../http/route/header-mutations.ts';
import { toWireText } from '../../matching/wire-text.ts';
import type { Endpoint } from '../endpoint.ts';
import { ExchangeProbe } from './exchange-probe.ts';
import { healthCheckRequest, saysServing } from './grpc-health-message.ts';
import { NO_STREAM, USER_AGENT } from './http-probe.ts';
import type { Probe, ProbeEvents } from './probe.ts';
import type { ProbeContext } from './probe-context.ts';
import { probedHost } from './probe-target.ts';

/** Far more than an answer needs; what lies behind makes it a wrong one. */
const MAX_BODY_BYTES = 16 * 1024;

interface GrpcCheck {
  readonly authority: string;
  readonly message: Buffer;
  readonly mutate: HeaderMutator | undefined;
  readonly timeout: string;
}

/** One call of grpc.health.v1.Health/Check: passed with `grpc-status: 0` and SERVING. */
class GrpcProbe extends ExchangeProbe {
  private readonly check: GrpcCheck;
  private readonly context: ProbeContext;

  constructor(endpoint: Endpoint, check: GrpcCheck, context: ProbeContext, events: ProbeEvents) {
    super(endpoint, { ...context, maxBodyBytes: MAX_BODY_BYTES }, events);
    this.check = check;
    this.context = context;
  }

  protected override writeRequest(codec: UpstreamCodec): void {
    const { check, context } = this;
    const request = new RequestHead();
    request.method = 'POST';
    request.path = '/grpc.health.v1.Health/Check';
    request.scheme = context.cluster.tls === undefined ? 'http' : 'https';
    request.authority = toWireText(probedHost(context.cluster, this.endpoint, check.authority));
    request.receivedAuthority = request.authority;
    request.set('te', 'trailers');
    request.set('content-type', 'application/grpc');
    request.set('user-agent', USER_AGENT);
    check.mutate?.(request, NO_STREAM);
    request.set('grpc-timeout', check.timeout);
    codec.writeHead(request, false, -1);
    codec.writeBody(check.message, 0, check.message.length, false);
    codec.finish(undefined);
  }

  /** The connection stays, where one call too many does no harm. */
  override expire(): void {
    if (!this.giveUp() || !this.isReusing) this.dropClient();
  }

  override close(): void {
    super.expire();
  }

  protected override acceptsHead(): boolean {
    const { upstreamHead: head } = this;
    if (head.status === 200 && isGrpcContentType(head.get('content-type') ?? '')) return true;
    this.events.onFail('active', false);
    return false;
  }

  protected override judge(trailers: HeaderMap | undefined): void {
    // A response without a body has its status in the head; it cannot pass, since it says nothing of SERVING.
    const passed = parseGrpcStatus(trailers?.get('grpc-status')) === GRPC.OK && saysServing(this.body);
    if (passed) this.events.onPass(false);
    else this.events.onFail('active', false);
  }
}

/** Makes the probes of a cluster with `grpc_health_check`. */
export function grpcProbes(config: GrpcHealthCheck, context: ProbeContext) {
  const check: GrpcCheck = {
    authority: config.authority,
    message: healthCheckRequest(config.service_name),
    mutate: compileHeaderMutations(config.initial_metadata, []),
    timeout: grpcTimeout(context.timeoutMs),
  };
  return (endpoint: Endpoint, events: ProbeEvents): Probe => new GrpcProbe(endpoint, check, context, events);
}
