const HASH = 35;

/**
 * The decoded value of the query parameter called `name` (decoded too) in a path; undefined when there is none, '' for
 * one without a value. A plus sign stays one: tokens have no spaces. Several with different values are the list of the
 * first and the next, which is no token: no one knows which of them the app reads (RFC 6749 §3.1 allows one).
 */
export function readParameter(path: string, name: string): string | undefined {
  const query = path.indexOf('?');
  if (query < 0) return undefined;
  const end = endOfQuery(path, query);
  let value: string | undefined;
  for (let at = query + 1; at <= end; ) {
    const next = endOfPair(path, at, end);
    const equals = path.indexOf('=', at);
    const nameEnd = equals < 0 || equals > next ? next : equals;
    if (isNamed(path, at, nameEnd, name)) {
      const found = decode(path.substring(Math.min(nameEnd + 1, next), next));
      if (value !== undefined && value !== found) return `${value},${found}`;
      value = found;
    }
    at = next + 1;
  }
  return value;
}

/** The path without the parameters called `name`; all else stays as it was spelled. */
export function removeParameter(path: string, name: string): string {
  const query = path.indexOf('?');
  if (query < 0) return path;
  const end = endOfQuery(path, query);
  const kept = path
    .substring(query + 1, end)
    .split('&')
    .filter((pair) => {
      const equals = pair.indexOf('=');
      return !isNamed(pair, 0, equals < 0 ? pair.length : equals, name);
    })
    .join('&');
  return `${path.substring(0, query)}${kept === '' ? '' : '?'}${kept}${path.substring(end)}`;
}

function endOfQuery(path: string, query: number): number {
  for (let i = query + 1; i < path.length; i++) if (path.charCodeAt(i) === HASH) return i;
  return path.length;
}

function endOfPair(path: string, at: number, end: number): number {
  const ampersand = path.indexOf('&', at);
  return ampersand < 0 || ampersand > end ? end : ampersand;
}

function isNamed(text: string, start: number, end: number, name: string): boolean {
  if (end - start === name.length && text.startsWith(name, start)) return true;
  if (end - start <= name.length) return false;
  const spelled = text.substring(start, end);
  return spelled.includes('%') && decode(spelled) === name;
}

/** Percent-decodes bytes; what is no code stays as it is. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%[0-9a-fA-F]{2}/g, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
}
