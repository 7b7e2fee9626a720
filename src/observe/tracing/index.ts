import { HttpTracing, type HttpTracingOptions } from './http-tracing.ts';
import type { TracerEnv } from './tracer.ts';
import { leaseTracer, type ProxyEnd } from './tracers.ts';

export type { HttpTracing, RouteTraceRules } from './http-tracing.ts';
export type { StreamTrace } from './stream-trace.ts';

/** What a connection manager has of tracing. */
export interface ManagerTracing {
  readonly http: HttpTracing;
  release(): void;
}

/** @param atClose what the proxy waits for at its end: the last spans, too
 * @throws FormatError; an Error for a provider that does not exist here
 */
export function createTracing(
  options: Omit<HttpTracingOptions, 'tracer' | 'node'>,
  env: TracerEnv,
  atClose: ProxyEnd,
): ManagerTracing {
  const { provider } = options.config;
  const lease = provider === undefined ? undefined : leaseTracer(atClose, provider, env);
  try {
    const http = new HttpTracing({ ...options, tracer: lease?.tracer, node: env.node });
    return { http, release: () => lease?.release() };
  } catch (error) {
    lease?.release();
    throw error;
  }
}
