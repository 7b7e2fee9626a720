/** The nine policies of the serverless paper (its Table 2), in the order in which a request meets them. */
export const NINE_POLICIES = [
  'mtls',
  'access_log',
  'tracing',
  'request_authentication',
  'authorization',
  'global_rate_limit',
  'sidecar_scope',
  'retry',
  'circuit_breaking',
] as const;

/** Those, and two filters that the mixes of the benchmark have beside them. */
export type PolicyName = (typeof NINE_POLICIES)[number] | 'local_rate_limit' | 'ip_tag';
