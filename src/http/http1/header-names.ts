/**
 * Header names that the parser knows, each with a small number. The first ones have a meaning for framing or routing:
 * their numbers are the constants of `KNOWN`.
 */
const FRAMING_NAMES = [
  '',
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'content-type',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-request-id',
  'date',
  'server',
  'x-forwarded-client-cert',
] as const;

const COMMON_NAMES = [
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'accept-ranges',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'access-control-request-headers',
  'access-control-request-method',
  'age',
  'allow',
  'authorization',
  'b3',
  'baggage',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-location',
  'content-range',
  'content-security-policy',
  'cookie',
  'dnt',
  'etag',
  'expires',
  'forwarded',
  'from',
  'grpc-status',
  'grpc-timeout',
  'http2-settings',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'link',
  'location',
  'max-forwards',
  'origin',
  'pragma',
  'priority',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'set-cookie',
  'strict-transport-security',
  'traceparent',
  'tracestate',
  'upgrade-insecure-requests',
  'user-agent',
  'vary',
  'via',
  'warning',
  'www-authenticate',
  'x-api-key',
  'x-b3-flags',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-spanid',
  'x-b3-traceid',
  'x-content-type-options',
  'x-envoy-attempt-count',
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-external-address',
  'x-envoy-force-trace',
  'x-envoy-internal',
  'x-envoy-ip-tags',
  'x-envoy-max-retries',
  'x-envoy-original-path',
  'x-envoy-overloaded',
  'x-envoy-retry-on',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-service-time',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-frame-options',
  'x-ot-span-context',
  'x-powered-by',
  'x-real-ip',
  'x-requested-with',
] as const;

export const KNOWN = {
  HOST: 1,
  CONNECTION: 2,
  CONTENT_LENGTH: 3,
  TRANSFER_ENCODING: 4,
  UPGRADE: 5,
  EXPECT: 6,
  KEEP_ALIVE: 7,
  PROXY_CONNECTION: 8,
  TE: 9,
  TRAILER: 10,
  CONTENT_TYPE: 11,
  X_FORWARDED_FOR: 12,
  X_FORWARDED_PROTO: 13,
  X_REQUEST_ID: 14,
  DATE: 15,
  SERVER: 16,
  X_FORWARDED_CLIENT_CERT: 17,
  /** Not a name: the bit that says that some `x-envoy-` header is there. */
  ANY_ENVOY: 31,
} as const;

/** Names that came by and are not in the list are learned, up to this many, so that they need not be sliced again. */
const MAX_LEARNED_NAMES = 256;
const TABLE_SIZE = 1024;

const names: string[] = [];
/** Bytes of each name, one behind the other; `offsets[id]` is where a name begins. */
const bytes = new Uint8Array(32 * 1024);
const offsets = new Int32Array(512 + 1);
const presence = new Int32Array(512);
const table = new Int32Array(TABLE_SIZE);

function insert(name: string, hash: number): void {
  const id = names.length;
  const start = offsets[id] as number;
  if (start + name.length > bytes.length || id >= offsets.length - 1) return;
  for (let i = 0; i < name.length; i++) bytes[start + i] = name.charCodeAt(i);
  offsets[id + 1] = start + name.length;
  names.push(name);
  if (id > 0 && id <= KNOWN.X_FORWARDED_CLIENT_CERT) presence[id] = 1 << id;
  else if (name.startsWith('x-envoy-')) presence[id] = 1 << KNOWN.ANY_ENVOY;
  if (name === '') return;
  let slot = hash & (TABLE_SIZE - 1);
  while (table[slot] !== 0) slot = (slot + 1) & (TABLE_SIZE - 1);
  table[slot] = id;
}

/**
 * Number of an `x-envoy-` name that the table has no room for, so that made-up names which fill it cannot hide one. No
 * name has it in the table.
 */
export const UNLISTED_ENVOY_NAME = 500;
presence[UNLISTED_ENVOY_NAME] = 1 << KNOWN.ANY_ENVOY;

/** The parser's rolling hash, for names that are inserted at load. */
function hashOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return hash;
}

for (const name of [...FRAMING_NAMES, ...COMMON_NAMES]) insert(name, hashOf(name));
const KNOWN_COUNT = names.length;

/**
 * Number of the header name in `buffer[start, end)`, whose bytes are compared in lower case, or 0 for a name that is
 * not in the table. `hash` is the rolling hash h = 31·h + byte over the lower-case bytes.
 */
export function lookupName(buffer: Buffer, start: number, end: number, hash: number, lower: Uint8Array): number {
  const length = end - start;
  let slot = hash & (TABLE_SIZE - 1);
  for (;;) {
    const id = table[slot] as number;
    if (id === 0) return 0;
    const at = offsets[id] as number;
    if ((offsets[id + 1] as number) - at === length) {
      let i = 0;
      while (i < length && bytes[at + i] === lower[buffer[start + i] as number]) i++;
      if (i === length) return id;
    }
    slot = (slot + 1) & (TABLE_SIZE - 1);
  }
}

/** Bit of a number in `present`: the number itself for those below 31, ANY_ENVOY for `x-envoy-` names, 0 otherwise. */
export function presenceBit(id: number): number {
  return presence[id] as number;
}

/** The lower-case name with this number. */
export function nameOf(id: number): string {
  return names[id] as string;
}

/** The lower-case name in `buffer[start, end)` that `lookupName` did not know; learned while there is room. */
export function learnName(buffer: Buffer, start: number, end: number, hash: number): string {
  const name = buffer.latin1Slice(start, end).toLowerCase();
  if (names.length < KNOWN_COUNT + MAX_LEARNED_NAMES && name.length <= 64) insert(name, hash);
  return name;
}
