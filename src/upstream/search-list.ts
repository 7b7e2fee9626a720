import { readFileSync } from 'node:fs';

/** How resolv.conf(5) completes short names: `reviews` becomes `reviews.default.svc.cluster.local` in a pod. */
export interface SearchList {
  readonly domains: readonly string[];
  /** A name with at least so many dots is tried as it is first. */
  readonly ndots: number;
}

const NO_SEARCH: SearchList = { domains: [], ndots: 1 };
/** resolv.conf(5): larger values are capped. */
const MAX_NDOTS = 15;

/** Reads the search list of a resolv.conf; without the file nothing is completed. */
export function readSearchList(path = '/etc/resolv.conf'): SearchList {
  try {
    return parseSearchList(readFileSync(path, 'utf8'));
  } catch {
    return NO_SEARCH;
  }
}

/** The last `search` or `domain` line counts, and the last `ndots` among the options. */
export function parseSearchList(text: string): SearchList {
  let { domains, ndots } = NO_SEARCH;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain') domains = values;
    if (keyword !== 'options') continue;
    for (const value of values) {
      const match = /^ndots:(\d+)$/.exec(value);
      if (match !== null) ndots = Math.min(Number(match[1]), MAX_NDOTS);
    }
  }
  return { domains, ndots };
}

/** The full names to ask for, in order. A trailing dot says that the name is complete. */
export function candidateNames(name: string, { domains, ndots }: SearchList): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const completed = domains.map((domain) => `${name}.${domain.replace(/\.$/, '')}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...completed] : [...completed, name];
}
