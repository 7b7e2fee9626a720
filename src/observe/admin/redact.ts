/** What stands in place of a secret, as in Envoy's dump. */
export const REDACTED = '[redacted]';

/** Fields whose text is secret, in snake_case; `token_bucket` and the like are not among them. */
const SECRET_FIELD =
  /(?:^|_)(?:password|passwd|passphrase|secret|secrets|private_key|api_key|apikey|keys?_material|credentials?|hmac|pkcs12|session_ticket_keys|generic_secret|local_jwks)$|(?:^|_)(?:access|auth|bearer|refresh|session|api|id)_token$|^token$/;

/** Headers whose value identifies somebody, where a configuration adds or matches them. */
const SECRET_HEADER =
  /^(?:authorization|proxy-authorization|cookie|set-cookie|x-api-key|.*-(?:token|secret|api-key))$/i;

/** Where a secret comes from may be shown; what it is may not. */
const SOURCE_FIELD = new Set(['filename', 'environment_variable']);

/**
 * A copy of a configuration without its secrets: text and bytes below a secret field, and values of headers that carry
 * credentials. Files and environment variables that hold secrets are named, not read.
 */
export function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value))
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  const copy: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    copy[key] = SECRET_FIELD.test(snakeCase(key)) ? hide(field) : redact(field);
  }
  hideHeaderValue(copy);
  return copy;
}

/** `{key: authorization, value: …}` and matchers of such headers. */
function hideHeaderValue(copy: Record<string, unknown>): void {
  const name = copy.key ?? copy.header_name ?? copy.name;
  if (typeof name !== 'string' || !SECRET_HEADER.test(name)) return;
  for (const field of ['value', 'raw_value', 'rawValue', 'exact_match', 'exactMatch', 'string_match', 'stringMatch']) {
    if (copy[field] !== undefined) copy[field] = hide(copy[field]);
  }
}

function hide(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hide);
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, field]) => [key, SOURCE_FIELD.has(snakeCase(key)) ? field : hide(field)]),
    );
  }
  return typeof value === 'boolean' || value === null || value === undefined ? value : REDACTED;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll('-', '_');
}
