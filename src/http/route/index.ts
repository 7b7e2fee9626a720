export type { RouteContext, RouteProblem } from './compile.ts';
export { compileRouteConfiguration, RouteConfigError } from './compile.ts';
export type { HashStream, StreamHash } from './hash-policy.ts';
export type { MirrorPolicy } from './mirror-policy.ts';
export { RouteEntry } from './route-entry.ts';
export type { PerFilterConfig } from './route-level.ts';
export { RouteTable } from './route-table.ts';
