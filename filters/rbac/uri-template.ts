/** pchar of RFC 3986, without `*` and `=`, which templates use. */
const PCHAR = "a-zA-Z0-9\\-._~%!$&'()+,;:@";
const LITERAL = new RegExp(`^[${PCHAR}]+`);
const PATH_GLOB = `[${PCHAR}]+`;
const TEXT_GLOB = `[${PCHAR}/]*`;
const NAME = /^[a-zA-Z][a-zA-Z0-9_]*$/;
const MAX_NAME_LENGTH = 16;
const MAX_VARIABLES = 5;

/**
 * The regular expression of a template of Envoy's uri_template extension: `/a/*` (one segment), `/a/**` (any, at the
 * end or before literals), `/a/{name}`, `/a/{name=x/*}`, and a literal behind the last glob (`/a/*.txt`).
 *
 * @throws Error that says what is wrong with it
 */
export function uriTemplateRegex(template: string): string {
  if (!/^\/[!-~]*$/.test(template)) throw new Error('a template begins with / and has no spaces');
  const reader = new Reader(template.slice(1));
  let regex = '/';
  while (!reader.atEnd) {
    regex += reader.rest.startsWith('{') ? reader.variable() : reader.part();
    if (reader.atEnd) break;
    if (reader.take('/')) regex += '/';
    else {
      regex += reader.literal();
      if (!reader.atEnd) throw new Error('behind a glob and a literal, nothing more may follow');
    }
  }
  return regex;
}

class Reader {
  rest: string;
  readonly #names = new Set<string>();
  #seenTextGlob = false;

  constructor(text: string) {
    this.rest = text;
  }

  get atEnd(): boolean {
    return this.rest === '';
  }

  take(text: string): boolean {
    if (!this.rest.startsWith(text)) return false;
    this.rest = this.rest.slice(text.length);
    return true;
  }

  /** A glob or a literal. */
  part(): string {
    if (this.take('**')) return this.#glob(TEXT_GLOB);
    return this.take('*') ? this.#glob(PATH_GLOB) : this.literal();
  }

  literal(): string {
    const [text] = LITERAL.exec(this.rest) ?? [];
    if (text === undefined) throw new Error(`${JSON.stringify(this.rest)} begins with what no path segment may hold`);
    this.rest = this.rest.slice(text.length);
    if (this.rest !== '' && !this.rest.startsWith('/')) throw new Error('a segment is a literal, or a glob, not both');
    return text.replace(/[$()+.]/g, '\\$&');
  }

  /** `{name}` or `{name=parts}`. */
  variable(): string {
    const end = this.rest.indexOf('}');
    if (end < 0) throw new Error('a { without }');
    const inner = this.rest.slice(1, end);
    const behind = this.rest.slice(end + 1);
    const equals = inner.indexOf('=');
    this.#declare(equals < 0 ? inner : inner.slice(0, equals));
    if (equals < 0) {
      this.rest = behind;
      return this.#glob(PATH_GLOB);
    }
    this.rest = inner.slice(equals + 1);
    let regex = this.part();
    while (!this.atEnd) {
      if (!this.take('/')) throw new Error('parts of a variable are separated by /');
      regex += `/${this.part()}`;
    }
    this.rest = behind;
    return regex;
  }

  #glob(regex: string): string {
    if (this.#seenTextGlob) throw new Error('no glob may follow **');
    this.#seenTextGlob = regex === TEXT_GLOB;
    return regex;
  }

  #declare(name: string): void {
    if (!NAME.test(name) || name.length > MAX_NAME_LENGTH) {
      throw new Error(`${JSON.stringify(name)} is no name of at most ${MAX_NAME_LENGTH} letters, digits and _`);
    }
    if (this.#names.has(name)) throw new Error(`the name ${name} is there twice`);
    if (this.#names.size === MAX_VARIABLES) throw new Error(`there may be ${MAX_VARIABLES} variables`);
    this.#names.add(name);
  }
}
