import { type HttpHealthCheck, payloadBytes } from '../../config/schema/health-check.ts';
import type { UpstreamCodec } from '../../http/codec.ts';
import { RequestHead } from '../../http/message.ts';
import { compileHeaderMutations, type HeaderMutator } from '../../http/route/header-mutations.ts';
import { compileStringMatcher } from '../../matching/string-matcher.ts';
import { toWireText } from '../../matching/wire-text.ts';
import type { StreamInfo } from '../../observe/stream-info.ts';
import type { Endpoint } from '../endpoint.ts';
import { HEALTH_FLAG } from '../health-flags.ts';
import { ExchangeProbe } from './exchange-probe.ts';
import type { HealthCheckStats } from './health-check-stats.ts';
import { holdsBlocks } from './payload.ts';
import type { Probe, ProbeEvents } from './probe.ts';
import type { ProbeContext } from './probe-context.ts';
import { probedHost } from './probe-target.ts';

/** What checks call themselves: servers and logs know them by this name of Envoy's. */
export const USER_AGENT = 'Envoy/HC';

/** Values without operators ask nothing of a stream; the configuration has no others. */
export const NO_STREAM = {} as StreamInfo;

/** The longest body that `response_buffer_size: 0` searches. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

interface HttpCheck {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly isSecure: boolean;
  readonly send: Buffer | undefined;
  readonly receive: readonly Buffer[];
  readonly mutate: HeaderMutator | undefined;
  readonly isExpected: (status: number) => boolean;
  readonly isRetriable: (status: number) => boolean;
  readonly isService: ((name: string) => boolean) | undefined;
  readonly stats: HealthCheckStats;
}

/** One request, judged by its status, and by body and headers where that is configured. */
class HttpProbe extends ExchangeProbe {
  private readonly check: HttpCheck;
  private readonly context: ProbeContext;

  constructor(endpoint: Endpoint, check: HttpCheck, context: ProbeContext, events: ProbeEvents, maxBodyBytes: number) {
    super(endpoint, { ...context, maxBodyBytes }, events);
    this.check = check;
    this.context = context;
  }

  protected override writeRequest(codec: UpstreamCodec): void {
    const { check } = this;
    const request = new RequestHead();
    request.method = check.method;
    request.path = check.path;
    request.scheme = check.isSecure ? 'https' : 'http';
    // As it was configured: a cluster's name, which Envoy takes too, is not always a host.
    request.authority = toWireText(probedHost(this.context.cluster, this.endpoint, check.host));
    request.receivedAuthority = request.authority;
    request.set('user-agent', USER_AGENT);
    check.mutate?.(request, NO_STREAM);
    if (check.send !== undefined) request.set('content-length', String(check.send.length));
    codec.writeHead(request, check.send === undefined, check.send?.length ?? 0);
    if (check.send === undefined) return;
    codec.writeBody(check.send, 0, check.send.length, false);
    codec.finish(undefined);
  }

  protected override acceptsHead(): boolean {
    return true;
  }

  protected override judge(): void {
    const { check, events, upstreamHead: head } = this;
    const bodyFits = check.receive.length === 0 || holdsBlocks(this.body, check.receive);
    if (!bodyFits || !check.isExpected(head.status)) {
      if (head.has('x-envoy-immediate-health-check-fail')) this.exclude();
      events.onFail('active', bodyFits && check.isRetriable(head.status), head.status);
      return;
    }
    if (check.isService !== undefined) {
      check.stats.verifyCluster.inc();
      if (!check.isService(head.get('x-envoy-upstream-healthchecked-cluster') ?? '')) {
        events.onFail('active', false, head.status);
        return;
      }
    }
    events.onPass(head.has('x-envoy-degraded'));
  }

  /** The endpoint leaves on purpose: that says nothing of the others. */
  private exclude(): void {
    if (this.endpoint.markHealth(HEALTH_FLAG.EXCLUDED_VIA_IMMEDIATE_HC_FAIL, 0)) this.context.cluster.onHealthChanged();
  }
}

/** Makes the probes of a cluster with `http_health_check`. */
export function httpProbes(config: HttpHealthCheck, context: ProbeContext) {
  const { cluster, stats } = context;
  const check: HttpCheck = {
    method: config.method === 'METHOD_UNSPECIFIED' ? 'GET' : config.method,
    path: config.path,
    host: config.host,
    isSecure: cluster.tls !== undefined,
    send: config.send === undefined ? undefined : payloadBytes([config.send])[0],
    receive: payloadBytes(config.receive),
    mutate: compileHeaderMutations(config.request_headers_to_add, config.request_headers_to_remove),
    isExpected: config.expected_statuses.length === 0 ? (status) => status === 200 : inRanges(config.expected_statuses),
    isRetriable: inRanges(config.retriable_statuses),
    isService:
      config.service_name_matcher === undefined ? undefined : compileStringMatcher(config.service_name_matcher),
    stats,
  };
  const maxBodyBytes = check.receive.length === 0 ? 0 : config.response_buffer_size || MAX_BODY_BYTES;
  return (endpoint: Endpoint, events: ProbeEvents): Probe =>
    new HttpProbe(endpoint, check, context, events, maxBodyBytes);
}

function inRanges(ranges: readonly { readonly start: number; readonly end: number }[]): (status: number) => boolean {
  return (status) => ranges.some(({ start, end }) => status >= start && status < end);
}
