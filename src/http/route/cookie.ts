/** Value of the first cookie called `name` in a Cookie header (RFC 6265 §4.2.1), without the quotes around it; undefined when there is none. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  let at = -1;
  for (;;) {
    at = header.indexOf(name, at + 1);
    if (at < 0) return undefined;
    const after = at + name.length;
    if (header[after] === '=' && startsPair(header, at)) {
      const end = pairEnd(header, after);
      const value = header.substring(after + 1, end).trim();
      const quoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
      return quoted ? value.slice(1, -1) : value;
    }
  }
}

/** Whether nothing but white space lies between the start of the header or a separator and `at`. */
function startsPair(header: string, at: number): boolean {
  let i = at - 1;
  while (i >= 0 && header[i] === ' ') i--;
  // Several Cookie lines come joined by commas.
  return i < 0 || header[i] === ';' || header[i] === ',';
}

function pairEnd(header: string, from: number): number {
  for (let i = from; i < header.length; i++) if (header[i] === ';' || header[i] === ',') return i;
  return header.length;
}
