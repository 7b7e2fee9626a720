import type { FilterEnv, HttpStream } from '../src/filter/index.ts';
import { parseGrpcStatus } from '../src/http/grpc/status.ts';
import type { Counter, Histogram, StatsScope } from '../src/observe/stats.ts';

/** The last status that gRPC knows; what lies above is counted together. */
const LAST_STATUS = 16;

/** Statistics of one method, or of all of them together; each is made when there is something to count. */
export class CallStats {
  private readonly scope: StatsScope;
  private readonly byStatus: (Counter | undefined)[] = [];
  private invalid: Counter | undefined = undefined;
  private success: Counter | undefined = undefined;
  private failure: Counter | undefined = undefined;
  private total: Counter | undefined = undefined;
  private requestMessages: Counter | undefined = undefined;
  private responseMessages: Counter | undefined = undefined;
  private upstreamTime: Histogram | undefined = undefined;

  constructor(scope: StatsScope) {
    this.scope = scope;
  }

  /** Counts the end of a call, where there is one: the `grpc-status` of a head or of trailers. */
  countStatus(grpcStatus: string | undefined): void {
    const status = parseGrpcStatus(grpcStatus);
    if (status === undefined) return;
    if (status < 0 || status > LAST_STATUS) {
      this.invalid ??= this.scope.counter('invalid');
      this.invalid.inc();
    } else {
      this.byStatus[status] ??= this.scope.counter(String(status));
      this.byStatus[status].inc();
    }
    if (status === 0) {
      this.success ??= this.scope.counter('success');
      this.success.inc();
    } else {
      this.failure ??= this.scope.counter('failure');
      this.failure.inc();
    }
    this.total ??= this.scope.counter('total');
    this.total.inc();
  }

  countRequestMessages(amount: number): void {
    this.requestMessages ??= this.scope.counter('request_message_count');
    this.requestMessages.add(amount);
  }

  countResponseMessages(amount: number): void {
    this.responseMessages ??= this.scope.counter('response_message_count');
    this.responseMessages.add(amount);
  }

  recordUpstreamTime(elapsedMs: number): void {
    this.upstreamTime ??= this.scope.histogram('upstream_rq_time');
    this.upstreamTime.record(elapsedMs);
  }
}

/** Methods that have figures of their own, per cluster; clients could make up any number. */
const MAX_METHODS = 4096;

/** The statistics of calls below their clusters: `cluster.<name>.<protocol>[.<service>.<method>]`. */
export class CallStatsTable {
  private readonly env: FilterEnv;
  private readonly protocol: string;
  private readonly clusters = new Map<
    string,
    { readonly scope: StatsScope; readonly methods: Map<string, CallStats> }
  >();

  constructor(env: FilterEnv, protocol: 'grpc' | 'grpc-web') {
    this.env = env;
    this.protocol = protocol;
  }

  /** @param method `service.method`, '' for no method's own; undefined when the stream goes to no cluster that there is */
  of(stream: HttpStream, method: string): CallStats | undefined {
    const name = stream.route?.clusterName || stream.upstreamCluster;
    let cluster = this.clusters.get(name);
    if (cluster === undefined) {
      const scope = name === '' ? undefined : this.env.proxy.clusterStats(name);
      if (scope === undefined) return undefined;
      cluster = { scope: scope.scope(this.protocol), methods: new Map() };
      this.clusters.set(name, cluster);
    }
    const { methods, scope } = cluster;
    let stats = methods.get(method);
    if (stats === undefined) {
      if (methods.size >= MAX_METHODS && method !== '') return this.of(stream, '');
      stats = new CallStats(method === '' ? scope : scope.scope(method));
      methods.set(method, stats);
    }
    return stats;
  }
}
