/** Nesting at which a value is refused. */
const MAX_DEPTH = 64;

/**
 * Decodes a serialized google.protobuf.Value into its JSON form: null, number, string, boolean, list or map.
 *
 * @throws Error for bytes that are not such a message
 */
export function decodeProtobufValue(bytes: Buffer, depth = 0): unknown {
  if (depth > MAX_DEPTH) throw new Error('the value is nested too deeply');
  let value: unknown = null;
  for (const { field, data, number } of readFields(bytes)) {
    if (field === 1) value = null;
    else if (field === 2) value = (data as Buffer).readDoubleLE(0);
    else if (field === 3) value = (data as Buffer).toString('utf8');
    else if (field === 4) value = number !== 0;
    else if (field === 5) value = decodeStruct(data as Buffer, depth + 1);
    else if (field === 6) value = decodeList(data as Buffer, depth + 1);
  }
  return value;
}

/** google.protobuf.Struct: a map of `fields`. */
function decodeStruct(bytes: Buffer, depth: number): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (const { field, data } of readFields(bytes)) {
    if (field !== 1) continue;
    let key = '';
    let value: unknown = null;
    for (const part of readFields(data as Buffer)) {
      if (part.field === 1) key = (part.data as Buffer).toString('utf8');
      else if (part.field === 2) value = decodeProtobufValue(part.data as Buffer, depth);
    }
    entries.push([key, value]);
  }
  return Object.fromEntries(entries);
}

function decodeList(bytes: Buffer, depth: number): unknown[] {
  const values: unknown[] = [];
  for (const { field, data } of readFields(bytes)) {
    if (field === 1) values.push(decodeProtobufValue(data as Buffer, depth));
  }
  return values;
}

interface WireField {
  readonly field: number;
  /** Of a varint. */
  readonly number: number;
  /** Of the other wire types. */
  readonly data: Buffer | undefined;
}

/** The wire type that each field of Value, Struct, its entries and ListValue must have is checked where it is used. */
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
    if (field === 0 || type > 5 || type === 3 || type === 4) throw new Error('not a protobuf message');
    if (type === 0) {
      yield { field, number: varint(), data: undefined };
      continue;
    }
    const length = type === 2 ? varint() : type === 1 ? 8 : 4;
    if (at + length > bytes.length) throw new Error('a field is cut off');
    yield { field, number: 0, data: bytes.subarray(at, at + length) };
    at += length;
  }
}
