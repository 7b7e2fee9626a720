/** Lines of a file of annotations that cannot be read. */
export interface Annotations {
  readonly values: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/**
 * Reads annotations as Kubernetes' downward API writes them into a file: one `key="value"` a line, the value escaped like
 * a string of Go (kubernetes.io/docs/concepts/workloads/pods/downward-api).
 */
export function parseAnnotations(text: string): Annotations {
  const values = new Map<string, string>();
  const problems: string[] = [];
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return;
    const [, key = '', quoted = ''] = /^([^=\s]+)=(".*")\s*$/.exec(line) ?? [];
    const value = key === '' ? undefined : unquote(quoted);
    if (value === undefined) problems.push(`line ${i + 1}: expected key="value", got ${line.trim().slice(0, 80)}`);
    else values.set(key, value);
  });
  return { values, problems };
}

/** Go's %q: escapes of JSON, and some that JSON does not know. */
function unquote(quoted: string): string | undefined {
  const json = quoted.replace(/\\(?:x([0-9a-f]{2})|U000([0-9a-f]{5})|[av]|[^xUav])/g, (all, byte, point) => {
    if (byte !== undefined) return `\\u00${byte}`;
    if (point !== undefined) return String.fromCodePoint(Number.parseInt(point, 16));
    return { '\\a': '\\u0007', '\\v': '\\u000b' }[all] ?? all;
  });
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
