/** The first fault in the nesting and quoting of an XML document, or undefined: enough of a parser for what we write. */
export function xmlFault(text: string): string | undefined {
  const open: string[] = [];
  const token = /<(?:\/([\w-]+)|([\w-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?))>|<|&(?:#\d+|\w+);|&/g;
  for (const [whole, closed, opened, , empty] of text.matchAll(token)) {
    if (whole === '<' || whole === '&') return `a bare ${whole}`;
    if (opened !== undefined && empty === '') open.push(opened);
    if (closed !== undefined && open.pop() !== closed) return `</${closed}> closes something else`;
  }
  return open.length === 0 ? undefined : `<${open.at(-1)}> is not closed`;
}
