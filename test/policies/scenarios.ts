import type { PolicyScenario } from './scenario.ts';
import { ACCESS } from './scenarios/access.ts';
import { MUTUAL_TLS } from './scenarios/mutual-tls.ts';
import { NINE } from './scenarios/nine.ts';
import { TRAFFIC } from './scenarios/traffic.ts';

/** Every policy at work; what they need of a proxy is in scenario.ts. */
export const SCENARIOS: readonly PolicyScenario[] = [...ACCESS, ...MUTUAL_TLS, ...TRAFFIC, ...NINE];
