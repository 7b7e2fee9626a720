import type { EndpointHealth } from './endpoint.ts';

/** What was found out about an endpoint's health, beside what the configuration says of it. Bits, with Envoy's names. */
export const HEALTH_FLAG = {
  FAILED_ACTIVE_HC: 1,
  DEGRADED_ACTIVE_HC: 2,
  /** DNS knows it no more; it stays because its checks pass. */
  PENDING_DYNAMIC_REMOVAL: 4,
  /** Not checked yet: it says nothing of the health of the others. */
  PENDING_ACTIVE_HC: 8,
  /** It asked to be left alone: nor does its leaving. */
  EXCLUDED_VIA_IMMEDIATE_HC_FAIL: 16,
  /** The last check was not answered in time. */
  ACTIVE_HC_TIMEOUT: 32,
  /** Ejected for what became of requests to it. */
  FAILED_OUTLIER_CHECK: 64,
} as const;

/** What active checks find out. */
export const ACTIVE_FLAGS =
  HEALTH_FLAG.FAILED_ACTIVE_HC |
  HEALTH_FLAG.DEGRADED_ACTIVE_HC |
  HEALTH_FLAG.PENDING_ACTIVE_HC |
  HEALTH_FLAG.EXCLUDED_VIA_IMMEDIATE_HC_FAIL |
  HEALTH_FLAG.ACTIVE_HC_TIMEOUT;

const EXCLUDED = HEALTH_FLAG.PENDING_ACTIVE_HC | HEALTH_FLAG.EXCLUDED_VIA_IMMEDIATE_HC_FAIL;

/** An endpoint's health: the worse of what the configuration says and what was found out. */
export function healthOf(assigned: EndpointHealth, flags: number): EndpointHealth {
  if (assigned === 'draining') return assigned;
  if ((flags & HEALTH_FLAG.FAILED_ACTIVE_HC) !== 0) return (flags & EXCLUDED) === 0 ? 'unhealthy' : 'draining';
  if ((flags & HEALTH_FLAG.FAILED_OUTLIER_CHECK) !== 0) return 'unhealthy';
  if (assigned !== 'healthy') return assigned;
  return (flags & HEALTH_FLAG.DEGRADED_ACTIVE_HC) === 0 ? 'healthy' : 'degraded';
}

/** Envoy's words for `/clusters`, in its order: `/failed_active_hc/active_hc_timeout`, or `healthy`. */
export function healthFlagsText(assigned: EndpointHealth, flags: number): string {
  const set = (flag: number, word: string): string => ((flags & flag) === 0 ? '' : `/${word}`);
  const text =
    set(HEALTH_FLAG.FAILED_ACTIVE_HC, 'failed_active_hc') +
    set(HEALTH_FLAG.FAILED_OUTLIER_CHECK, 'failed_outlier_check') +
    (assigned === 'unhealthy' ? '/failed_eds_health' : '') +
    set(HEALTH_FLAG.DEGRADED_ACTIVE_HC, 'degraded_active_hc') +
    (assigned === 'degraded' ? '/degraded_eds_health' : '') +
    set(HEALTH_FLAG.PENDING_DYNAMIC_REMOVAL, 'pending_dynamic_removal') +
    set(HEALTH_FLAG.PENDING_ACTIVE_HC, 'pending_active_hc') +
    set(HEALTH_FLAG.EXCLUDED_VIA_IMMEDIATE_HC_FAIL, 'excluded_via_immediate_hc_fail') +
    set(HEALTH_FLAG.ACTIVE_HC_TIMEOUT, 'active_hc_timeout') +
    (assigned === 'draining' ? '/eds_status_draining' : '');
  return text === '' ? 'healthy' : text;
}
