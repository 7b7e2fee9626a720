/** What `getAll` answers for a header that is not there. */
const EMPTY_VALUES: readonly string[] = Object.freeze([]);

/** What may not stand in a field value (RFC 9110 §5.5), and what latin1 cannot carry. */
const FORBIDDEN_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** A longer value is left to the expression. */
const MAX_LOOPED_CHARS = 40;

function hasForbidden(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 9) || code === 0x7f || code > 0xff) return true;
  }
  return false;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const MAX_CHECKED_NAMES = 1024;
/** Lower-case tokens that were found right once; names that are made up per request cannot fill it for ever. */
const checkedNames = new Set<string>();

/** The name in lower case. @throws TypeError when it is no token (RFC 9110 §5.1) */
function checkName(name: string): string {
  if (checkedNames.has(name)) return name;
  if (!TOKEN.test(name)) throw new TypeError(`header ${JSON.stringify(name)}: a name is a token, such as x-request-id`);
  const lower = name.toLowerCase();
  if (checkedNames.size < MAX_CHECKED_NAMES) checkedNames.add(lower);
  return lower;
}

/** Whether two names of one length, in lower case, differ in nothing but `-` and `_`. */
function isSpelling(a: string, b: string): boolean {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] && !((a[i] === '-' || a[i] === '_') && (b[i] === '-' || b[i] === '_'))) return false;
  }
  return true;
}

function checkSpelling(name: string, spelling: string | undefined): void {
  if (spelling !== undefined && spelling.toLowerCase() !== name)
    throw new TypeError(`header ${name}: ${JSON.stringify(spelling)} is no spelling of it`);
}

function checkValue(name: string, value: string): void {
  if (value.length <= MAX_LOOPED_CHARS ? hasForbidden(value) : FORBIDDEN_IN_VALUE.test(value)) {
    throw new TypeError(`header ${name}: a value may hold no control bytes and no characters above U+00FF`);
  }
}

/**
 * The header fields of one message, in wire order.
 *
 * Names are lower-case, as RFC 9110 §5.1 compares them without case; the spelling that was received is kept beside
 * them for the wire. Values are latin1 strings without surrounding white space. A header parsed from HTTP/1 stays a
 * pair of offsets into the text of the head until somebody asks for its value, and an untouched header is written on
 * as the bytes that came in.
 *
 * The parallel arrays are public for the codecs in `src/http`; filters use the methods.
 */
export class HeaderMap {
  /** Text of the whole head (latin1), into which the spans point; '' when the headers did not come from HTTP/1. */
  raw = '';
  /** Number of entries in use, removed ones (name '') included. */
  length = 0;
  /** True once an entry was set, added or removed: the head can then no longer be written on as one piece. */
  changed = false;
  /** Names whose fields came as literals that HPACK never indexes, and must leave as such (RFC 7541 §6.2.3). */
  neverIndexed: string[] | undefined = undefined;
  readonly names: string[] = [];
  /** Decoded values; undefined until asked for. */
  readonly values: (string | undefined)[] = [];
  /** The spelling to write; undefined writes `names[i]`. Only for entries that were set or added. */
  readonly spellings: (string | undefined)[] = [];
  /** Offset of the line in `raw`, or -1 for entries that were set or added. */
  readonly lineStart: number[] = [];
  /** Offset behind the line's CRLF in `raw`; this and the next ones only for entries that came as spans. */
  readonly lineEnd: number[] = [];
  readonly valueStart: number[] = [];
  readonly valueEnd: number[] = [];

  /** Empties the map for its next message; the arrays keep their capacity. */
  reset(raw: string): void {
    this.raw = raw;
    this.length = 0;
    this.changed = false;
    this.neverIndexed = undefined;
  }

  /** Codec only: appends a header whose text lies in `raw`. */
  pushSpan(name: string, lineStart: number, valueStart: number, valueEnd: number, lineEnd: number): void {
    const i = this.length++;
    this.names[i] = name;
    this.values[i] = undefined;
    this.spellings[i] = undefined;
    this.lineStart[i] = lineStart;
    this.lineEnd[i] = lineEnd;
    this.valueStart[i] = valueStart;
    this.valueEnd[i] = valueEnd;
  }

  /** The value of entry `i`, which must be below `length`. */
  valueAt(i: number): string {
    const value = this.values[i];
    if (value !== undefined) return value;
    const decoded = this.raw.substring(this.valueStart[i] as number, this.valueEnd[i] as number);
    this.values[i] = decoded;
    return decoded;
  }

  /**
   * Index of the first entry called `name` at or after `from`, or -1. `name` is lower-case; one that begins with a
   * capital letter is understood too, so that a policy which looks for `Authorization` is not blind.
   */
  indexOf(name: string, from = 0): number {
    const names = this.names;
    for (let i = from; i < this.length; i++) if (names[i] === name) return i;
    const first = name.charCodeAt(0);
    return first >= 65 && first <= 90 ? this.indexOf(name.toLowerCase(), from) : -1;
  }

  /**
   * The value of a header by its lower-case name; the values of a repeated header joined by `,` (RFC 9110 §5.3), so
   * that a second line never hides from a policy.
   */
  get(name: string): string | undefined {
    const first = this.indexOf(name);
    if (first < 0) return undefined;
    let value = this.valueAt(first);
    for (let i = this.indexOf(name, first + 1); i >= 0; i = this.indexOf(name, i + 1)) value += `,${this.valueAt(i)}`;
    return value;
  }

  /** Every value of a header, in wire order. */
  getAll(name: string): readonly string[] {
    let i = this.indexOf(name);
    if (i < 0) return EMPTY_VALUES;
    const values: string[] = [];
    for (; i >= 0; i = this.indexOf(name, i + 1)) values.push(this.valueAt(i));
    return values;
  }

  has(name: string): boolean {
    return this.indexOf(name) >= 0;
  }

  /** Replaces a header (all its lines), keeping its place and spelling, or adds it at the end. `name` is lower-case. */
  set(name: string, value: string, spelling?: string): void {
    const first = this.indexOf(name);
    if (first < 0) {
      this.addLine(name, value, spelling);
      return;
    }
    checkValue(name, value);
    checkSpelling(this.names[first] as string, spelling);
    this.changed = true;
    const start = this.lineStart[first] as number;
    if (start >= 0 && spelling === undefined) {
      this.spellings[first] = this.raw.substring(start, start + name.length);
    } else if (spelling !== undefined) {
      this.spellings[first] = spelling;
    }
    this.values[first] = value;
    this.lineStart[first] = -1;
    for (let i = this.indexOf(name, first + 1); i >= 0; i = this.indexOf(name, i + 1)) this.names[i] = '';
  }

  /**
   * Adds a line, even where the name exists already. `spelling` is what goes on the wire. Throws a TypeError for a name
   * or a value that no header may carry: nothing that a filter writes can forge a second header.
   */
  add(name: string, value: string, spelling?: string): void {
    this.addLine(name, value, spelling);
  }

  private addLine(name: string, value: string, spelling: string | undefined): void {
    const lower = checkName(name);
    checkValue(lower, value);
    checkSpelling(lower, spelling);
    this.append(lower, value, spelling);
  }

  /** As `add`, for lower-case names and values that cannot hold a forbidden byte. */
  append(name: string, value: string, spelling?: string): void {
    const i = this.length++;
    this.changed = true;
    this.names[i] = name;
    this.values[i] = value;
    this.spellings[i] = spelling;
    this.lineStart[i] = -1;
  }

  /** Removes every line of a header; true when there was one. */
  remove(name: string): boolean {
    let i = this.indexOf(name);
    if (i < 0) return false;
    this.changed = true;
    for (; i >= 0; i = this.indexOf(name, i + 1)) this.names[i] = '';
    return true;
  }

  /**
   * As `remove`, for every spelling of the name with `_` for `-`: apps behind CGI and its kin (RFC 3875 §4.1.18) see all
   * of them as one.
   */
  removeSpellings(name: string): boolean {
    const names = this.names;
    let found = false;
    for (let i = 0; i < this.length; i++) {
      const other = names[i] as string;
      if (other !== name && (other.length !== name.length || !isSpelling(other, name))) continue;
      names[i] = '';
      found = true;
    }
    if (found) this.changed = true;
    return found;
  }

  /** Name and value of every header, in wire order. For filters and logs, not for the codecs. */
  *entries(): IterableIterator<[name: string, value: string]> {
    for (let i = 0; i < this.length; i++) {
      const name = this.names[i] as string;
      if (name !== '') yield [name, this.valueAt(i)];
    }
  }

  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.entries();
  }
}
