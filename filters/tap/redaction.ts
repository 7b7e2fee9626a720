import { lowerAscii } from '../../src/matching/wire-text.ts';
import type { OwnOptions } from './schema.ts';

/** What stands in place of a secret. */
export const REDACTED = '[redacted]';

/** Headers that carry credentials by their name. */
const SECRET_HEADER =
  /^(?:(?:.*-)?(?:authorization|session|session-?id|jwt)|authentication-info|cookie2?|set-cookie2?|api-?key|.*-(?:token|secret|api-?key|password|credentials?|signature|assertion))$/;

/** Fields of a body that do. */
const SECRET_FIELD =
  /^(?:.*(?:token|secret|password|passwd|passphrase|signature|credentials?|assertion)|.*(?:api|access|private)[-_.]?key|jwt|authorization)$/;

/** Parameters of a query or a form that do, besides those. */
const SECRET_PARAMETER = /^(?:key|pwd|pass|auth|sig|code|code_verifier|session|session[-_.]?id|sid)$/;

/** Headers whose value is an address, which may have secrets in its query or its user part. */
const ADDRESS_HEADERS = new Set([
  ':path',
  'location',
  'content-location',
  'referer',
  'refresh',
  'link',
  'x-envoy-original-path',
  'x-original-url',
  'x-rewrite-url',
  'x-forwarded-uri',
  'x-original-uri',
]);

/** Name and value of a parameter of an address, where `;` may begin another, and of a form. */
const ADDRESS_PARAMETER = /([?&;#])([^=&?#;\s<>"]+)=(?:(?!;[^=&?#;\s<>"]+=)[^&#\s<>"])*/g;
const FORM_PARAMETER = /(&|^)([^=&]+)=[^&]*/g;
const USER = /(\/\/)[^/@\s?#]*@/g;
/** A text of JSON, which may be cut, or what stands between two; each character is looked at once. */
const JSON_PART = /"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|[^"]+/g;
const JSON_NUMBER = /^(\s*:\s*)-?\d[^\s,}\]]*/;
const COLON = /^\s*:\s*$/;

/** Takes secrets out of what is recorded. */
export class Redaction {
  readonly #headers: ReadonlySet<string>;
  readonly #parameters: ReadonlySet<string>;

  constructor(options: OwnOptions) {
    this.#headers = new Set(options.secret_headers.map((name) => name.toLowerCase()));
    this.#parameters = new Set(options.secret_parameters.map((name) => name.toLowerCase()));
  }

  /** The value of a header that may be shown; `name` is lower-case. */
  header(name: string, value: string): string {
    if (this.#headers.has(name) || SECRET_HEADER.test(name)) return REDACTED;
    return ADDRESS_HEADERS.has(name)
      ? this.#parametersOf(value.replace(USER, `$1${REDACTED}@`), ADDRESS_PARAMETER)
      : value;
  }

  /** A body whose type has names for its values: a form, or JSON. Others are what they are. */
  body(contentType: string, body: Buffer): Buffer {
    const type = lowerAscii(contentType);
    if (type.startsWith('application/x-www-form-urlencoded')) {
      return Buffer.from(this.#parametersOf(body.toString('latin1'), FORM_PARAMETER), 'latin1');
    }
    if (!/^(?:application|text)\/(?:[^;]*\+)?json/.test(type)) return body;
    return Buffer.from(this.#fieldsOf(body.toString('latin1')), 'latin1');
  }

  #fieldsOf(text: string): string {
    let result = '';
    let name: string | undefined;
    let hides = false;
    for (const part of text.match(JSON_PART) ?? []) {
      if (part.startsWith('"')) {
        result += hides ? `"${REDACTED}"` : part;
        name = hides ? undefined : part.slice(1, -1);
        hides = false;
      } else {
        const isSecret = name !== undefined && this.#isSecretField(name.toLowerCase());
        hides = isSecret && COLON.test(part);
        result += isSecret ? part.replace(JSON_NUMBER, `$1"${REDACTED}"`) : part;
      }
    }
    return result;
  }

  #parametersOf(text: string, parameter: RegExp): string {
    return text.replace(parameter, (whole, mark: string, name: string) =>
      this.#isSecret(decoded(name)) ? `${mark}${name}=${REDACTED}` : whole,
    );
  }

  #isSecret(name: string): boolean {
    const lower = name.toLowerCase();
    return SECRET_PARAMETER.test(lower) || this.#isSecretField(lower);
  }

  #isSecretField(lower: string): boolean {
    return this.#parameters.has(lower) || SECRET_FIELD.test(lower);
  }
}

/** Passes everything on as it is. */
export const NO_REDACTION: Pick<Redaction, 'header' | 'body'> = {
  header: (_name, value) => value,
  body: (_contentType, body) => body,
};

function decoded(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
