import { message } from '../config/schema/building-blocks.ts';
import { bufferBody, defineHttpFilter, type HttpFilterDefinition, reply, replyMessage } from '../filter/index.ts';
import { readRateLimitRequest, SHOULD_RATE_LIMIT } from '../http/grpc/rate-limit-request.ts';
import { RateLimitResponseWriter } from '../http/grpc/rate-limit-response.ts';
import { GRPC } from '../http/grpc/status.ts';
import { readMessage } from '../http/grpc/unary-call.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { RateLimitService } from './rate-limit-service.ts';

export const SERVICE_FILTER_TYPE = 'outrigger.v1.RateLimitService';

const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
const MAX_REQUEST_BYTES = 1024 * 1024;
/** HealthCheckResponse { status = 1 }: SERVING and NOT_SERVING. */
const SERVING = replyMessage(Buffer.from([0x08, 1]));
const NOT_SERVING = replyMessage(Buffer.from([0x08, 2]));

const collect = bufferBody(MAX_REQUEST_BYTES);
const refuse = (grpcStatus: number, body: string) => reply(500, { grpcStatus, body, details: 'ratelimit_service' });
const unimplemented = refuse(GRPC.UNIMPLEMENTED, 'the service has ShouldRateLimit and grpc.health.v1.Health/Check');
const noCall = reply(415, { body: 'this is a gRPC service\n', details: 'ratelimit_service' });

/** The rate limit service as a filter that answers itself: all of the proxy's HTTP/2 server is in front of it. */
export function serviceFilter(serviceFor: (stats: StatsScope) => RateLimitService): HttpFilterDefinition<object> {
  return defineHttpFilter<object>({
    name: 'outrigger.ratelimit_service',
    configType: SERVICE_FILTER_TYPE,
    config: message({}),
    semantics: { side: 'ingress', state: 'process', body: 'read' },
    create(_, env) {
      const service = serviceFor(env.stats.root);
      const writer = new RateLimitResponseWriter();
      const judge = async (body: Buffer) => {
        try {
          const request = readRateLimitRequest(readMessage(body));
          if (request.domain === '') return refuse(GRPC.INVALID_ARGUMENT, 'rate limit domain must not be empty');
          if (request.descriptors.length === 0)
            return refuse(GRPC.INVALID_ARGUMENT, 'rate limit descriptor list must not be empty');
          const { overallCode, statuses } = await service.judge(request);
          return replyMessage(writer.write(overallCode, statuses));
        } catch (error) {
          const isOurs = error instanceof Error && error.name === 'WireError';
          return refuse(isOurs ? GRPC.INVALID_ARGUMENT : GRPC.UNAVAILABLE, (error as Error).message);
        }
      };
      return {
        onRequest(request, stream) {
          if (!stream.isGrpc) return noCall;
          if (request.path === SHOULD_RATE_LIMIT || request.path === HEALTH_CHECK) return collect;
          return unimplemented;
        },
        onRequestBody(body, _end, stream) {
          if (stream.request.path === SHOULD_RATE_LIMIT) return judge(body);
          return env.proxy.healthy() ? SERVING : NOT_SERVING;
        },
      };
    },
  });
}
