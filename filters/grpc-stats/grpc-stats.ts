import { defineHttpFilter, type HttpStream } from '../../src/filter/index.ts';
import { isGrpcContentType } from '../../src/http/grpc/content-type.ts';
import { methodNameOf } from '../../src/http/grpc/method-name.ts';
import { type CallStats, CallStatsTable } from '../grpc-call-stats.ts';
import { MessageCounter } from './message-counter.ts';
import { GrpcStatsConfig } from './schema.ts';

/** Filter state with the numbers of messages of a call. */
const FILTER_STATE = 'envoy.filters.http.grpc_stats';

/** One call. */
class Call {
  /** Under which its figures are kept: `service.method`, or '' for those of all. */
  readonly method: string;
  readonly requests = new MessageCounter();
  readonly responses = new MessageCounter();
  /** The response has gRPC's content type: its body consists of messages. */
  isAnswered = false;
  isEmitted = false;
  stats: CallStats | undefined = undefined;

  constructor(method: string) {
    this.method = method;
  }
}

/**
 * Counts gRPC calls and their messages below the cluster (Envoy: envoy.filters.http.grpc_stats):
 * `cluster.<name>.grpc.<service>.<method>.{0…16,success,failure,total,request_message_count,response_message_count}`,
 * without service and method for those that have no figures of their own.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig
 * stats_for_all_methods: true
 * enable_upstream_stats: true
 */
export const grpcStats = defineHttpFilter<GrpcStatsConfig>({
  name: 'envoy.filters.http.grpc_stats',
  configType: 'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
  config: GrpcStatsConfig,
  semantics: { side: 'either', state: 'process', body: 'read' },
  create(base, env) {
    const config = env.routeConfigs.at(-1) ?? base;
    const methodOf = compileMethods(config);
    const table = new CallStatsTable(env, 'grpc');
    const calls = env.slot<Call>();

    /** Undefined while the cluster is not known, or when there is none. */
    const statsOf = (call: Call, stream: HttpStream) => {
      call.stats ??= table.of(stream, call.method);
      return call.stats;
    };
    const emit = (call: Call, stream: HttpStream) => {
      if (!config.emit_filter_state || call.isEmitted) return;
      call.isEmitted = true;
      stream.setFilterState(FILTER_STATE, new MessageCounts(call));
    };
    const finish = (call: Call, stream: HttpStream, grpcStatus: string | undefined) => {
      const stats = statsOf(call, stream);
      stats?.countStatus(grpcStatus);
      const { upstreamTxEndMs, upstreamRxEndMs } = stream;
      if (config.enable_upstream_stats && upstreamTxEndMs > 0 && upstreamRxEndMs > 0) {
        stats?.recordUpstreamTime(upstreamRxEndMs - upstreamTxEndMs);
      }
    };

    return {
      onRequest(request, stream) {
        if (!isGrpcContentType(request.get('content-type') ?? '')) return;
        const method = methodOf(request.path);
        if (method !== undefined) calls.set(stream, new Call(method));
      },
      onRequestBody(chunk, _end, stream) {
        const call = calls.get(stream);
        const begun = call === undefined ? 0 : call.requests.add(chunk);
        if (call === undefined || begun === 0) return;
        statsOf(call, stream)?.countRequestMessages(begun);
        emit(call, stream);
      },
      onResponse(response, stream) {
        const call = calls.get(stream);
        if (call === undefined) return;
        call.isAnswered = response.status === 200 && isGrpcContentType(response.get('content-type') ?? '');
        const grpcStatus = response.get('grpc-status');
        if (grpcStatus !== undefined) finish(call, stream, grpcStatus);
      },
      onResponseBody(chunk, _end, stream) {
        const call = calls.get(stream);
        const begun = call?.isAnswered ? call.responses.add(chunk) : 0;
        if (call === undefined || begun === 0) return;
        statsOf(call, stream)?.countResponseMessages(begun);
        emit(call, stream);
      },
      onResponseTrailers(trailers, stream) {
        const call = calls.get(stream);
        if (call !== undefined) finish(call, stream, trailers.get('grpc-status'));
      },
    };
  },
});

/** The numbers as they are when somebody reads them; logs print them as Envoy prints its protobuf message. */
class MessageCounts {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  toString(): string {
    const { requests, responses } = this.#call;
    return `${requests.count},${responses.count}`;
  }

  toJSON(): Record<string, string> {
    const { requests, responses } = this.#call;
    return {
      ...(requests.count > 0 && { requestMessageCount: String(requests.count) }),
      ...(responses.count > 0 && { responseMessageCount: String(responses.count) }),
    };
  }
}

/** From a path to the method under which its call is counted; undefined when it is no call. */
function compileMethods(config: GrpcStatsConfig): (path: string) => string | undefined {
  const { individual_method_stats_allowlist: allowlist } = config;
  if (config.stats_for_all_methods === true) {
    const replaces = config.replace_dots_in_grpc_service_name;
    return (path) => {
      const name = methodNameOf(path);
      if (name === undefined) return undefined;
      return `${replaces ? name.service.replaceAll('.', '_') : name.service}.${name.method}`;
    };
  }
  const listed = new Map<string, string>();
  for (const { name, method_names } of allowlist?.services ?? []) {
    for (const method of method_names) listed.set(`${name}/${method}`, `${name}.${method}`);
  }
  return (path) => {
    const name = methodNameOf(path);
    return name === undefined ? undefined : (listed.get(`${name.service}/${name.method}`) ?? '');
  };
}
