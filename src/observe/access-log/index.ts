export { HEALTH_CHECK_STATE } from './access-log-filter.ts';
export type { AccessLogger } from './compile-access-logs.ts';
export { compileAccessLogs } from './compile-access-logs.ts';
export type { SinkEnv } from './sink.ts';
export { flushAll, flushAllSync, reopenAll } from './sink.ts';
