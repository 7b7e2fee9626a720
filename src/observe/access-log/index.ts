export { HEALTH_CHECK_STATE } from './access-log-filter.ts';
export type { AccessLogEnv, AccessLogger } from './compile-access-logs.ts';
export { compileAccessLogs } from './compile-access-logs.ts';
export { flushAll, flushAllSync, reopenAll, sinkTotals } from './sink.ts';
