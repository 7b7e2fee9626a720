import type { RequestHead } from '../message.ts';

/** Value of a request's first cookie called `name` (RFC 6265 §4.2.1), without the quotes around it; undefined when there is none. */
export function cookieValue(request: RequestHead, name: string): string | undefined {
  for (const line of request.getAll('cookie')) {
    const value = valueIn(line, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

function valueIn(line: string, name: string): string | undefined {
  for (let at = line.indexOf(name); at >= 0; at = line.indexOf(name, at + 1)) {
    const after = at + name.length;
    if (line[after] !== '=' || !startsPair(line, at)) continue;
    const end = line.indexOf(';', after);
    const value = line.substring(after + 1, end < 0 ? line.length : end).trim();
    const quoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
    return quoted ? value.slice(1, -1) : value;
  }
  return undefined;
}

/** Whether nothing but spaces lies between the start of the line or a semicolon and `at`. */
function startsPair(line: string, at: number): boolean {
  let i = at - 1;
  while (i >= 0 && line[i] === ' ') i--;
  return i < 0 || line[i] === ';';
}
