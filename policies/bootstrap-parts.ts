import { camelCase } from '../src/config/schema/message.ts';
import type { Canonical } from './policy.ts';

/** Ways around in a bootstrap of plain data, whose keys may be in snake_case or camelCase. */

export const MANAGER = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
export const TCP_PROXY = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';

export function chainsOf(listener: Canonical): Canonical[] {
  inSnakeCase(listener, 'default_filter_chain');
  const fallback = listener.default_filter_chain;
  return [...listAt(listener, 'filter_chains'), ...(fallback === undefined ? [] : [fallback as Canonical])];
}

/** The configuration of a chain's last filter, if it is of this type. */
export function terminal(chain: Canonical, type: string): Canonical | undefined {
  const last = listAt(chain, 'filters').at(-1);
  return last !== undefined && typeOf(last).endsWith(`/${type}`) ? (last.typed_config as Canonical) : undefined;
}

export function typeOf(filter: Canonical): string {
  inSnakeCase(filter, 'typed_config');
  return String((filter.typed_config as Canonical | undefined)?.['@type']);
}

export function isMap(value: unknown): value is Canonical {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function mapAt(parent: Canonical, key: string): Canonical {
  inSnakeCase(parent, key);
  parent[key] ??= {};
  return parent[key] as Canonical;
}

export function listAt(parent: Canonical, key: string): Canonical[] {
  inSnakeCase(parent, key);
  parent[key] ??= [];
  return parent[key] as Canonical[];
}

/** A file may have a field in either case; only one of them may be there. */
export function inSnakeCase(parent: Canonical, key: string): void {
  const other = camelCase(key);
  if (other === key || parent[other] === undefined) return;
  parent[key] = parent[other];
  delete parent[other];
}
