import type { Scenario } from '../harness/case.ts';
import { messages } from './messages.ts';

/** Every table of cases. */
export const scenarios: readonly Scenario[] = [messages];
