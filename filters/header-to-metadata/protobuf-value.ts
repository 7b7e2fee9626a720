/** Nesting at which a value is refused. */
const MAX_DEPTH = 64;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/**
 * Decodes a serialized google.protobuf.Value into its JSON form: null, number, string, boolean, list or map; undefined
 * when it has no kind. Fields that are not known are skipped.
 *
 * @throws Error for bytes that are not a message
 */
export function decodeProtobufValue(bytes: Buffer, depth = 0): unknown {
  if (depth > MAX_DEPTH) throw new Error('the value is nested too deeply');
  let value: unknown;
  for (const { field, type, data, number } of readFields(bytes)) {
    if (field === 1 && type === VARINT) value = null;
    else if (field === 2 && type === FIXED64) value = data.readDoubleLE(0);
    else if (field === 3 && type === BYTES) value = data.toString('utf8');
    else if (field === 4 && type === VARINT) value = number !== 0;
    else if (field === 5 && type === BYTES) value = decodeStruct(data, depth + 1);
    else if (field === 6 && type === BYTES) value = decodeList(data, depth + 1);
  }
  return value;
}

/** As `decodeProtobufValue`, for a google.protobuf.Struct. */
export function decodeProtobufStruct(bytes: Buffer): Record<string, unknown> {
  return decodeStruct(bytes, 0);
}

/** google.protobuf.Struct: a map of `fields`. */
function decodeStruct(bytes: Buffer, depth: number): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (const { field, type, data } of readFields(bytes)) {
    if (field !== 1 || type !== BYTES) continue;
    let key = '';
    let value: unknown = null;
    for (const part of readFields(data)) {
      if (part.type !== BYTES) continue;
      if (part.field === 1) key = part.data.toString('utf8');
      else if (part.field === 2) value = decodeProtobufValue(part.data, depth) ?? null;
    }
    entries.push([key, value]);
  }
  return Object.fromEntries(entries);
}

function decodeList(bytes: Buffer, depth: number): unknown[] {
  const values: unknown[] = [];
  for (const { field, type, data } of readFields(bytes)) {
    if (field === 1 && type === BYTES) values.push(decodeProtobufValue(data, depth) ?? null);
  }
  return values;
}

interface WireField {
  readonly field: number;
  readonly type: number;
  /** Of a varint. */
  readonly number: number;
  /** Of the other wire types. */
  readonly data: Buffer;
}

const NO_BYTES = Buffer.alloc(0);

/** The fields of a message in protobuf's wire format. */
function* readFields(bytes: Buffer): Generator<WireField> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a number is cut off');
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error('a number is too long');
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    const type = tag & 7;
    if (type === VARINT && field !== 0) {
      yield { field, type, number: varint(), data: NO_BYTES };
      continue;
    }
    if (field === 0 || (type !== FIXED64 && type !== BYTES && type !== FIXED32)) throw new Error('not a message');
    const length = type === BYTES ? varint() : type === FIXED64 ? 8 : 4;
    if (at + length > bytes.length) throw new Error('a field is cut off');
    yield { field, type, number: 0, data: bytes.subarray(at, at + length) };
    at += length;
  }
}
