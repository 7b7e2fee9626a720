import type { FilterNames } from '../../src/lab/profile/source-places.ts';

const TYPE = /\.filters\.(?:http|network)\.(\w+)\.v\d/;

/**
 * The names under which a configuration lists its filters, by the folder of `filters/` that their types lie in:
 * `…filters.http.ip_tagging.v3.IPTagging` is `ip-tagging`. Of two of one type the first counts.
 */
export function filterNames(config: unknown): FilterNames {
  const names = new Map<string, string>();
  collect(config, names);
  return names;
}

function collect(value: unknown, names: Map<string, string>): void {
  if (typeof value !== 'object' || value === null) return;
  const { name, typed_config: typed } = value as { name?: unknown; typed_config?: { '@type'?: unknown } };
  const folder = TYPE.exec(String(typed?.['@type'] ?? ''))?.[1]?.replaceAll('_', '-');
  if (typeof name === 'string' && folder !== undefined && !names.has(folder)) names.set(folder, name);
  for (const child of Object.values(value)) collect(child, names);
}
