import { TOKEN_LOWER } from '../../http1/chars.ts';
import { learnName, lookupName, nameOf, UNLISTED_ENVOY_NAME } from '../../http1/header-names.ts';
import { PSEUDO } from './field-list.ts';

/** The static table of RFC 7541 Appendix A; a field's index is its place, from 1 on. */
// biome-ignore format: pairs of name and value
const STATIC_FIELDS: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''], [':method', 'GET'], [':method', 'POST'], [':path', '/'], [':path', '/index.html'],
  [':scheme', 'http'], [':scheme', 'https'], [':status', '200'], [':status', '204'], [':status', '206'],
  [':status', '304'], [':status', '400'], [':status', '404'], [':status', '500'], ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'], ['accept-language', ''], ['accept-ranges', ''], ['accept', ''],
  ['access-control-allow-origin', ''], ['age', ''], ['allow', ''], ['authorization', ''], ['cache-control', ''],
  ['content-disposition', ''], ['content-encoding', ''], ['content-language', ''], ['content-length', ''],
  ['content-location', ''], ['content-range', ''], ['content-type', ''], ['cookie', ''], ['date', ''], ['etag', ''],
  ['expect', ''], ['expires', ''], ['from', ''], ['host', ''], ['if-match', ''], ['if-modified-since', ''],
  ['if-none-match', ''], ['if-range', ''], ['if-unmodified-since', ''], ['last-modified', ''], ['link', ''],
  ['location', ''], ['max-forwards', ''], ['proxy-authenticate', ''], ['proxy-authorization', ''], ['range', ''],
  ['referer', ''], ['refresh', ''], ['retry-after', ''], ['server', ''], ['set-cookie', ''],
  ['strict-transport-security', ''], ['transfer-encoding', ''], ['user-agent', ''], ['vary', ''], ['via', ''],
  ['www-authenticate', ''],
];

/** Indices above it are the dynamic table's. */
export const STATIC_COUNT = STATIC_FIELDS.length;

/** What RFC 7541 §4.1 and RFC 9113 §6.5.2 count for each field beside its name and value. */
export const FIELD_OVERHEAD = 32;

/** A field of a table, with all that a block needs of it when it is indexed. */
export class TableEntry {
  readonly name: string;
  readonly value: string;
  /** As `FieldList.known`. */
  readonly known: number;
  /** Size of the entry (RFC 7541 §4.1). */
  readonly bytes: number;
  /** What is wrong with the name, '' when nothing is. */
  readonly nameFault: string;
  /** What is wrong with the name or the value, '' when nothing is. */
  readonly fault: string;

  constructor(name: string, value: string, known: number, bytes: number, nameFault: string, fault: string) {
    this.name = name;
    this.value = value;
    this.known = known;
    this.bytes = bytes;
    this.nameFault = nameFault;
    this.fault = fault;
  }
}

/** A field name, and its number as in `FieldList.known`. */
export interface FieldName {
  name: string;
  known: number;
}

const PSEUDO_NAMES: ReadonlyMap<string, FieldName> = new Map(
  [
    { name: ':method', known: PSEUDO.METHOD },
    { name: ':path', known: PSEUDO.PATH },
    { name: ':authority', known: PSEUDO.AUTHORITY },
    { name: ':scheme', known: PSEUDO.SCHEME },
    { name: ':status', known: PSEUDO.STATUS },
    { name: ':protocol', known: PSEUDO.PROTOCOL },
  ].map((pseudo) => [pseudo.name, pseudo]),
);

const COLON = 58;

/**
 * Finds the name `bytes[start, end)`, which is a lower-case token, perhaps behind a colon. It is learned where there is
 * room. `hash` is that of `lookupName`.
 */
export function internName(bytes: Buffer, start: number, end: number, hash: number, into: FieldName): void {
  if (bytes[start] === COLON) {
    const name = bytes.latin1Slice(start, end);
    const pseudo = PSEUDO_NAMES.get(name);
    into.name = pseudo?.name ?? name;
    into.known = pseudo?.known ?? PSEUDO.UNKNOWN;
    return;
  }
  into.known = lookupName(bytes, start, end, hash, TOKEN_LOWER);
  if (into.known !== 0) {
    into.name = nameOf(into.known);
  } else {
    into.name = learnName(bytes, start, end, hash);
    into.known = lookupName(bytes, start, end, hash, TOKEN_LOWER);
    if (into.known === 0 && into.name.startsWith('x-envoy-')) into.known = UNLISTED_ENVOY_NAME;
  }
}

function staticEntry(name: string, value: string): TableEntry {
  const bytes = Buffer.from(name, 'latin1');
  let hash = 0;
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0;
  const found: FieldName = { name: '', known: 0 };
  internName(bytes, 0, bytes.length, hash, found);
  return new TableEntry(found.name, value, found.known, name.length + value.length + FIELD_OVERHEAD, '', '');
}

/** Place 0 holds no field. */
export const NO_ENTRY: TableEntry = new TableEntry('', '', 0, 0, '', '');

/** The entries by their index. */
export const STATIC_TABLE: readonly TableEntry[] = [
  NO_ENTRY,
  ...STATIC_FIELDS.map(([name, value]) => staticEntry(name, value)),
];
