/** What a head says, read in the simplest way that is right: one string, split into lines. */
export interface ReferenceHead {
  method: string;
  target: string;
  minorVersion: number;
  headers: [string, string][];
  contentLength: number;
  chunked: boolean;
}

/** A request head by RFC 9112, or undefined where it is not one. `text` ends with the empty line. */
export function referenceRequest(text: string): ReferenceHead | undefined {
  if (!text.endsWith('\r\n\r\n')) return undefined;
  const lines = text.slice(0, -4).split('\r\n');
  const requestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/.exec(lines[0] as string);
  if (requestLine === null) return undefined;
  const headers: [string, string][] = [];
  for (const line of lines.slice(1)) {
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (field === null) return undefined;
    headers.push([(field[1] as string).toLowerCase(), (field[2] as string).replace(/[\t ]+$/, '')]);
  }
  const all = (name: string): string[] => headers.filter(([one]) => one === name).map(([, value]) => value);
  const lengths = all('content-length');
  const codings = all('transfer-encoding');
  const minorVersion = Number(requestLine[3]);
  if (all('host').length > 1 || headers.length > 100 || text.length > 60 * 1024) return undefined;
  if (lengths.length > 1 || lengths.some((length) => !/^\d{1,15}$/.test(length))) return undefined;
  if (codings.length > 1 || codings.some((coding) => coding.toLowerCase() !== 'chunked')) return undefined;
  if (codings.length > 0 && (lengths.length > 0 || minorVersion === 0)) return undefined;
  return {
    method: requestLine[1] as string,
    target: requestLine[2] as string,
    minorVersion,
    headers,
    contentLength: lengths.length === 0 ? -1 : Number(lengths[0]),
    chunked: codings.length > 0,
  };
}
