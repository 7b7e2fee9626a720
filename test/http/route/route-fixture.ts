import * as v from 'valibot';
import { RouteConfiguration } from '../../../src/config/schema/route.ts';
import { RequestHead } from '../../../src/http/message.ts';
import {
  compileRouteConfiguration,
  type HashStream,
  type RouteContext,
  type RouteTable,
} from '../../../src/http/route/index.ts';
import { fakeStream } from '../../observe/fake-stream.ts';

/** A request head from its method, target and header lines. */
export function requestHead(
  path: string,
  options: { method?: string; authority?: string; headers?: readonly (readonly [string, string])[] } = {},
): RequestHead {
  const request = new RequestHead();
  request.method = options.method ?? 'GET';
  request.path = path;
  request.authority = options.authority ?? 'shop.test';
  for (const [name, value] of options.headers ?? []) request.add(name, value);
  return request;
}

/** A stream around a request that notes the cookies it is asked to set. */
export function hashStream(
  request: RequestHead,
  metadata: Record<string, Record<string, unknown>> = {},
): HashStream & { readonly cookies: string[] } {
  const cookies: string[] = [];
  const stream = fakeStream({ metadata, filterState: { user: 'ada' } });
  return { ...stream, request, cookies, addResponseCookie: (cookie) => cookies.push(cookie) };
}

/** Validates a route configuration as a file would be, and compiles it. */
export function routeTable(config: object, context: RouteContext = {}): RouteTable {
  return compileRouteConfiguration(v.parse(RouteConfiguration, config), context);
}

/** A table of one virtual host for every authority. */
export function singleHost(routes: readonly object[], more: object = {}, context: RouteContext = {}): RouteTable {
  return routeTable({ virtual_hosts: [{ name: 'all', domains: ['*'], routes }], ...more }, context);
}
