import { expect, test } from 'vitest';
import type { EndpointHealth } from '../../src/upstream/endpoint.ts';
import { HEALTH_FLAG, healthFlagsText, healthOf } from '../../src/upstream/health-flags.ts';

const F = HEALTH_FLAG;

test.each<[EndpointHealth, number, EndpointHealth, string]>([
  ['healthy', 0, 'healthy', 'healthy'],
  ['healthy', F.FAILED_ACTIVE_HC, 'unhealthy', '/failed_active_hc'],
  ['healthy', F.FAILED_ACTIVE_HC | F.ACTIVE_HC_TIMEOUT, 'unhealthy', '/failed_active_hc/active_hc_timeout'],
  ['healthy', F.FAILED_ACTIVE_HC | F.PENDING_ACTIVE_HC, 'draining', '/failed_active_hc/pending_active_hc'],
  [
    'healthy',
    F.FAILED_ACTIVE_HC | F.EXCLUDED_VIA_IMMEDIATE_HC_FAIL,
    'draining',
    '/failed_active_hc/excluded_via_immediate_hc_fail',
  ],
  ['healthy', F.EXCLUDED_VIA_IMMEDIATE_HC_FAIL, 'healthy', '/excluded_via_immediate_hc_fail'],
  ['healthy', F.DEGRADED_ACTIVE_HC, 'degraded', '/degraded_active_hc'],
  ['healthy', F.PENDING_DYNAMIC_REMOVAL, 'healthy', '/pending_dynamic_removal'],
  ['unhealthy', 0, 'unhealthy', '/failed_eds_health'],
  ['unhealthy', F.DEGRADED_ACTIVE_HC, 'unhealthy', '/failed_eds_health/degraded_active_hc'],
  ['degraded', 0, 'degraded', '/degraded_eds_health'],
  ['degraded', F.FAILED_ACTIVE_HC, 'unhealthy', '/failed_active_hc/degraded_eds_health'],
  ['draining', F.FAILED_ACTIVE_HC, 'draining', '/failed_active_hc/eds_status_draining'],
])('configured as %s, with flags %i: %s, %s', (assigned, flags, health, text) => {
  expect(healthOf(assigned, flags)).toBe(health);
  expect(healthFlagsText(assigned, flags)).toBe(text);
});
