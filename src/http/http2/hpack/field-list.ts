/**
 * Numbers of the pseudo-header fields (RFC 9113 §8.3) in `FieldList.known`. They lie above every number that
 * `header-names.ts` gives to a name, and `presenceBit` of them is 0.
 */
export const PSEUDO = {
  METHOD: 501,
  PATH: 502,
  AUTHORITY: 503,
  SCHEME: 504,
  STATUS: 505,
  /** Extended CONNECT (RFC 8441). */
  PROTOCOL: 506,
  /** A name that begins with a colon and is none of these. */
  UNKNOWN: 507,
} as const;

/** A longer list gives its arrays back, so that an idle connection does not hold the strings of its largest block. */
const MAX_KEPT_FIELDS = 64;
const MAX_KEPT_BYTES = 16 * 1024;

/** The fields of one header block, decoded. One per connection, reused for every block. */
export class FieldList {
  /** Fields in use; the arrays may be longer. */
  count = 0;
  /** Lower-case names, pseudo-headers with their colon; the same string object for the same name wherever possible. */
  readonly names: string[] = [];
  /** Latin1 strings without surrounding white space. */
  readonly values: string[] = [];
  /**
   * Number of the name in `header-names.ts`, for `presenceBit`; 0 or `UNLISTED_ENVOY_NAME` when the name is not in its table;
   * or one of `PSEUDO`.
   */
  readonly known: number[] = [];
  /** The field came as a literal that is never indexed (RFC 7541 §6.2.3), and must leave as one. */
  readonly sensitive: boolean[] = [];
  /** Size of the list as RFC 9113 §6.5.2 counts it: name, value and 32 for each field, the dropped ones included. */
  bytes = 0;
  /** What is wrong with a name or value (RFC 9113 §8.2.1), '' when nothing is. The connection's table is intact. */
  malformed = '';
  /** The list is beyond a limit: its further fields were decoded, so that the table stays in step, and dropped. */
  tooLarge = false;

  /** Empties the list for the next block. */
  reset(): void {
    if (this.names.length > MAX_KEPT_FIELDS || this.bytes > MAX_KEPT_BYTES) {
      this.names.length = 0;
      this.values.length = 0;
      this.known.length = 0;
      this.sensitive.length = 0;
    }
    this.count = 0;
    this.bytes = 0;
    this.malformed = '';
    this.tooLarge = false;
  }
}
