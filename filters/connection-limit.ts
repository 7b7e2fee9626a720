import timers from 'node:timers';
import type * as v from 'valibot';
import { duration, message, nonEmptyString, optional, uint64Value } from '../src/config/schema/building-blocks.ts';
import { RuntimeFeatureFlag } from '../src/config/schema/percent.ts';
import { defineNetworkFilter, stop } from '../src/filter/index.ts';
import { sharedKey } from './shared-key.ts';

/** envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit; delay in milliseconds. */
export const ConnectionLimit = message({
  stat_prefix: nonEmptyString(),
  max_connections: uint64Value({ min: 1 }),
  delay: optional(duration()),
  runtime_enabled: optional(RuntimeFeatureFlag),
});
export type ConnectionLimit = v.InferOutput<typeof ConnectionLimit>;

/**
 * Limits how many connections a listener's filter chain has at once, over all threads (Envoy:
 * envoy.filters.network.connection_limit). A connection too many is closed, after `delay` where one is given.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit
 * stat_prefix: edge
 * max_connections: 1000
 * delay: 0.5s
 */
export const connectionLimit = defineNetworkFilter<ConnectionLimit>({
  name: 'envoy.filters.network.connection_limit',
  configType: 'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
  config: ConnectionLimit,
  semantics: { side: 'ingress', state: 'process', body: 'none' },
  // A refused connection is held for as long as the configuration says.
  timeoutMs: 2 ** 31 - 1,
  create(config, env) {
    if (config.runtime_enabled?.default_value === false) return {};
    const stats = env.stats.root.scope('connection_limit').scope(config.stat_prefix);
    const active = stats.gauge('active_connections');
    const limited = stats.counter('limited_connections');
    const connections = env.sharedCount(sharedKey(env.name, config));
    const max = config.max_connections;
    const delayMs = config.delay ?? 0;
    const refusal = stop('over_connection_limit');
    return {
      onConnection() {
        active.inc();
        // A refused connection counts until it is closed, as in Envoy.
        if (connections.add() < max) return undefined;
        limited.inc();
        return delayMs === 0 ? refusal : timers.promises.setTimeout(delayMs, refusal, { ref: false });
      },
      onClose() {
        active.dec();
        connections.remove();
      },
    };
  },
});
