/**
 * A reader for the YAML that configuration files mostly are: block and flow collections of one-line scalars. It exists
 * for the time to start: cold, the full parser takes longer than everything else that loading does. Whatever it is not
 * sure about (anchors, tags, block texts, scalars over several lines, tabs, mistakes) it leaves to the full parser,
 * which also finds the places of errors; what it reads, it reads alike (a test compares them).
 */
export function readPlainYaml(text: string): { readonly data: unknown } | undefined {
  if (/[\t\r\0\uFEFF]|^(?:---|\.\.\.|%)/m.test(text)) return undefined;
  try {
    return { data: new PlainReader(text).readDocument() };
  } catch (error) {
    if (error === UNSURE) return undefined;
    throw error;
  }
}

/** Thrown where the full parser must decide. */
const UNSURE = Symbol('unsure');
const MAX_DEPTH = 100;

const SPACE = 32;
const NEWLINE = 10;
const HASH = 35;
const DASH = 45;
const COLON = 58;
const DOUBLE_QUOTE = 34;
const SINGLE_QUOTE = 39;
const OPEN_LIST = 91;
const OPEN_MAP = 123;

class PlainReader {
  private readonly text: string;
  private at = 0;
  private depth = 0;

  constructor(text: string) {
    this.text = text;
  }

  readDocument(): unknown {
    const indent = this.nextToken();
    if (indent < 0) throw UNSURE;
    const value = this.readBlock(indent, -1);
    if (this.nextToken() >= 0) throw UNSURE;
    return value;
  }

  /** Moves to the next thing that is neither blank nor comment; its column, or -1 at the end. */
  private nextToken(): number {
    const { text } = this;
    for (;;) {
      const code = text.charCodeAt(this.at);
      if (code === SPACE || code === NEWLINE) this.at++;
      else if (code === HASH) this.skipComment();
      else if (Number.isNaN(code)) return -1;
      else return this.column();
    }
  }

  private column(): number {
    return this.at - (this.text.lastIndexOf('\n', this.at - 1) + 1);
  }

  private skipComment(): void {
    if (this.at > 0 && !isBlank(this.text.charCodeAt(this.at - 1))) throw UNSURE;
    const end = this.text.indexOf('\n', this.at);
    this.at = end < 0 ? this.text.length : end;
  }

  /** A block value whose first token stands here, at the column `indent`; `parent` is the column of what holds it. */
  private readBlock(indent: number, parent: number): unknown {
    if (++this.depth > MAX_DEPTH) throw UNSURE;
    const value = this.isItem()
      ? this.readSequence(indent)
      : this.isKey()
        ? this.readMap(indent)
        : this.readInline(parent);
    this.depth--;
    return value;
  }

  private isItem(): boolean {
    return this.text.charCodeAt(this.at) === DASH && isBlankOrEnd(this.text.charCodeAt(this.at + 1));
  }

  /** True when the rest of the line begins with a key and its colon. */
  private isKey(): boolean {
    const { text } = this;
    const first = text.charCodeAt(this.at);
    if (first === OPEN_LIST || first === OPEN_MAP) return false;
    let at = this.at;
    if (first === DOUBLE_QUOTE || first === SINGLE_QUOTE) at = this.endOfQuoted(first) + 1;
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code === COLON && isBlankOrEnd(text.charCodeAt(at + 1))) return true;
      if (code === NEWLINE || Number.isNaN(code)) return false;
      if (code === HASH && text.charCodeAt(at - 1) === SPACE) return false;
    }
  }

  private readSequence(indent: number): unknown[] {
    const items: unknown[] = [];
    for (;;) {
      this.at++;
      const line = this.endOfLine();
      const column = this.nextToken();
      if (this.at < line) items.push(this.readBlock(column, indent));
      else if (column > indent) items.push(this.readBlock(column, indent));
      else items.push(null);
      const next = this.nextToken();
      if (next < indent) return items;
      if (next > indent) throw UNSURE;
      if (!this.isItem()) return items;
    }
  }

  private readMap(indent: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (;;) {
      const key = this.readKey();
      if (Object.hasOwn(map, key) || key === '__proto__') throw UNSURE;
      map[key] = this.readMapValue(indent);
      const next = this.nextToken();
      if (next < indent) return map;
      if (next > indent || this.isItem() || !this.isKey()) throw UNSURE;
    }
  }

  /** The value behind a colon: on the same line, or in the lines below it. */
  private readMapValue(indent: number): unknown {
    const line = this.endOfLine();
    const column = this.nextToken();
    if (column >= 0 && this.at < line) return this.readInline(indent);
    if (column > indent) return this.readBlock(column, indent);
    // A list may stand at the column of the key that holds it.
    if (column === indent && this.isItem()) return this.readBlock(column, indent);
    return null;
  }

  /** A key up to and with its colon. */
  private readKey(): string {
    const code = this.text.charCodeAt(this.at);
    const key = code === DOUBLE_QUOTE || code === SINGLE_QUOTE ? this.readQuoted(code) : this.readPlainKey();
    if (this.text.charCodeAt(this.at) !== COLON || !isBlankOrEnd(this.text.charCodeAt(this.at + 1))) throw UNSURE;
    this.at++;
    return key;
  }

  private readPlainKey(): string {
    this.refuseIndicator();
    const { text } = this;
    const start = this.at;
    while (text.charCodeAt(this.at) !== COLON || !isBlankOrEnd(text.charCodeAt(this.at + 1))) {
      const code = text.charCodeAt(this.at);
      if (code === NEWLINE || Number.isNaN(code)) throw UNSURE;
      this.at++;
    }
    const key = text.slice(start, this.at);
    if (key === '' || key.endsWith(' ') || key.includes(' #')) throw UNSURE;
    return key;
  }

  /** A scalar or a flow collection that begins here and has the rest of its last line for itself. */
  private readInline(parent: number): unknown {
    const code = this.text.charCodeAt(this.at);
    const value =
      code === OPEN_LIST || code === OPEN_MAP
        ? this.readFlow(parent)
        : code === DOUBLE_QUOTE || code === SINGLE_QUOTE
          ? this.readQuoted(code)
          : this.readPlainLine();
    const line = this.endOfLine();
    const next = this.nextToken();
    // Something else on this line, or a scalar that goes on in the next one.
    if (next >= 0 && (this.at < line || next > parent)) throw UNSURE;
    return value;
  }

  private readPlainLine(): unknown {
    this.refuseIndicator();
    const end = this.endOfLine();
    let raw = this.text.slice(this.at, end);
    const comment = raw.indexOf(' #');
    if (comment >= 0) raw = raw.slice(0, comment);
    raw = withoutSpacesAtEnd(raw);
    if (raw.includes(': ') || raw.endsWith(':')) throw UNSURE;
    this.at += raw.length;
    return resolvePlain(raw);
  }

  /** Characters that begin something other than a plain scalar. */
  private refuseIndicator(): void {
    const first = this.text[this.at]!;
    const second = this.text.charCodeAt(this.at + 1);
    if (',[]{}#&*!|>\'"%@`'.includes(first) || ('-?:'.includes(first) && isFlowEnd(second))) throw UNSURE;
  }

  private endOfLine(): number {
    const end = this.text.indexOf('\n', this.at);
    return end < 0 ? this.text.length : end;
  }

  private endOfQuoted(quote: number): number {
    const { text } = this;
    for (let at = this.at + 1; ; at++) {
      const code = text.charCodeAt(at);
      if (code === NEWLINE || Number.isNaN(code)) throw UNSURE;
      if (quote === DOUBLE_QUOTE && code === 92) at++;
      else if (code === quote) {
        if (quote === DOUBLE_QUOTE || text.charCodeAt(at + 1) !== quote) return at;
        at++;
      }
    }
  }

  private readQuoted(quote: number): string {
    const end = this.endOfQuoted(quote);
    const raw = this.text.slice(this.at, end + 1);
    this.at = end + 1;
    if (quote === SINGLE_QUOTE) return raw.slice(1, -1).replaceAll("''", "'");
    if (!raw.includes('\\')) return raw.slice(1, -1);
    // YAML has more escapes than JSON; these mean the same in both.
    if (raw.replaceAll(/\\["\\/bfnrt]/g, '').includes('\\')) throw UNSURE;
    try {
      return JSON.parse(raw) as string;
    } catch {
      throw UNSURE;
    }
  }

  /** A flow collection; its further lines must be indented deeper than `parent`. */
  private readFlow(parent: number): unknown {
    if (++this.depth > MAX_DEPTH) throw UNSURE;
    const isList = this.text.charCodeAt(this.at) === OPEN_LIST;
    this.at++;
    const value = isList ? this.readFlowList(parent) : this.readFlowMap(parent);
    this.depth--;
    return value;
  }

  private readFlowList(parent: number): unknown[] {
    const items: unknown[] = [];
    for (;;) {
      if (this.flowToken(parent) === ']') break;
      items.push(this.readFlowValue(parent));
      if (this.flowSeparator(parent, ']')) break;
    }
    this.at++;
    return items;
  }

  private readFlowMap(parent: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (;;) {
      if (this.flowToken(parent) === '}') break;
      const code = this.text.charCodeAt(this.at);
      const key = code === DOUBLE_QUOTE || code === SINGLE_QUOTE ? this.readQuoted(code) : this.readFlowText();
      if (key === '' || Object.hasOwn(map, key) || key === '__proto__') throw UNSURE;
      if (this.text.charCodeAt(this.at) !== COLON || !isBlankOrEnd(this.text.charCodeAt(this.at + 1))) throw UNSURE;
      this.at++;
      const next = this.flowToken(parent);
      map[key] = next === ',' || next === '}' ? null : this.readFlowValue(parent);
      if (this.flowSeparator(parent, '}')) break;
    }
    this.at++;
    return map;
  }

  private readFlowValue(parent: number): unknown {
    const code = this.text.charCodeAt(this.at);
    if (code === OPEN_LIST || code === OPEN_MAP) return this.readFlow(parent);
    if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) return this.readQuoted(code);
    return resolvePlain(this.readFlowText());
  }

  /** Plain text in a flow collection, up to what ends it; on one line. */
  private readFlowText(): string {
    this.refuseIndicator();
    const { text } = this;
    const start = this.at;
    for (; ; this.at++) {
      const code = text.charCodeAt(this.at);
      if (Number.isNaN(code) || code === NEWLINE || ',[]{}'.includes(text[this.at]!)) break;
      if (code === COLON && isFlowEnd(text.charCodeAt(this.at + 1))) break;
      if (code === HASH && text.charCodeAt(this.at - 1) === SPACE) throw UNSURE;
    }
    const raw = text.slice(start, this.at);
    return withoutSpacesAtEnd(raw);
  }

  /** The next character in a flow collection that is not blank. */
  private flowToken(parent: number): string {
    const line = this.endOfLine();
    const column = this.nextToken();
    if (column < 0 || (this.at > line && column <= parent)) throw UNSURE;
    return this.text[this.at]!;
  }

  /** Behind an item: true at the end of the collection, false behind a comma. */
  private flowSeparator(parent: number, end: string): boolean {
    const token = this.flowToken(parent);
    if (token === end) return true;
    if (token !== ',') throw UNSURE;
    this.at++;
    return false;
  }
}

function isBlank(code: number): boolean {
  return code === SPACE || code === NEWLINE;
}

function isBlankOrEnd(code: number): boolean {
  return code === SPACE || code === NEWLINE || Number.isNaN(code);
}

function isFlowEnd(code: number): boolean {
  return isBlankOrEnd(code) || ',[]{}'.includes(String.fromCharCode(code));
}

const NULL = /^(?:~|[Nn]ull|NULL)$/;
const TRUE = /^(?:[Yy]|YES|[Yy]es|TRUE|[Tt]rue|ON|[Oo]n)$/;
const FALSE = /^(?:[Nn]|NO|[Nn]o|FALSE|[Ff]alse|OFF|[Oo]ff)$/;
const LONGEST_WORD = 'false'.length;
const NUMBER = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;

/** The value of a plain scalar by YAML's core schema, with Envoy's words for booleans. */
function resolvePlain(raw: string): unknown {
  if (/^[-+.\d]/.test(raw)) {
    if (NUMBER.test(raw)) return Number(raw);
    if (/^(?:0[xo]|[-+]?\.(?:inf|nan))/i.test(raw)) throw UNSURE;
    return raw;
  }
  if (raw.length > LONGEST_WORD) return raw;
  if (NULL.test(raw)) return null;
  if (TRUE.test(raw)) return true;
  return FALSE.test(raw) ? false : raw;
}

/** Only spaces: what JavaScript trims besides them (U+00A0, U+2028, …) is text to YAML. */
function withoutSpacesAtEnd(text: string): string {
  let end = text.length;
  while (text.charCodeAt(end - 1) === SPACE) end--;
  return text.slice(0, end);
}
