import { HpackDecoder } from '../../../../src/http/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../../../src/http/http2/hpack/encoder.ts';
import { FieldList } from '../../../../src/http/http2/hpack/field-list.ts';
import { decodeHuffman, encodeHuffman, huffmanBound, huffmanBytes } from '../../../../src/http/http2/hpack/huffman.ts';
import type { MicroBenchmark } from '../../micro.ts';

type Fields = readonly (readonly [name: string, value: string])[];

/** A unary call as grpc-go sends it, through a mesh that adds one header. */
const REQUEST: Fields = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/orders.v1.Orders/PlaceOrder'],
  [':authority', 'orders.default.svc.cluster.local:8080'],
  ['content-type', 'application/grpc'],
  ['user-agent', 'grpc-go/1.60.0'],
  ['te', 'trailers'],
  ['grpc-accept-encoding', 'identity,deflate,gzip'],
  ['x-envoy-attempt-count', '1'],
  ['x-forwarded-proto', 'http'],
];

const TRACEPARENTS = Array.from(
  { length: 1024 },
  (_, i) => `00-${(i * 2654435761).toString(16).padStart(32, '0')}-${i.toString(16).padStart(16, '0')}-01`,
);
/** Values that are one string object per request, as a decoder makes them. */
const TRACED: Fields[] = TRACEPARENTS.map((traceparent, i) => [
  ...REQUEST,
  ['grpc-timeout', `${100_000 + i}u`],
  ['x-request-id', `7d9f6a52-8a3e-4a51-9f0f-${String(i).padStart(12, '0')}`],
  ['traceparent', traceparent],
]);

const out = Buffer.allocUnsafeSlow(16 * 1024);

function encode(encoder: HpackEncoder, fields: Fields): number {
  let at = encoder.begin(out, 0);
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Fields[number];
    at = encoder.field(out, at, field[0], field[1], false);
  }
  return at;
}

/** An encoder that has seen the fields, and a decoder in step with it. */
function warm(fields: readonly Fields[]): { encoder: HpackEncoder; decoder: HpackDecoder; blocks: Buffer[] } {
  const encoder = new HpackEncoder(4096);
  const decoder = new HpackDecoder(4096, 64 * 1024, 100);
  for (let round = 0; round < 4; round++) {
    const length = encode(encoder, fields[round % fields.length] as Fields);
    decoder.decode(out, 0, length, list);
  }
  const blocks = fields.map((one) => Buffer.from(out.subarray(0, encode(encoder, one))));
  return { encoder, decoder, blocks };
}

const list = new FieldList();
const indexed = warm([REQUEST]);
const traced = warm(TRACED);
let turn = 0;
const PATH = '/api/v1/orders/17?expand=items&page=2';
const path = Buffer.from(PATH);
const coded = Buffer.alloc(64);
const codedBytes = encodeHuffman(path, path.length, coded, 0);
const plain = Buffer.alloc(huffmanBound(codedBytes));

/** The same value as another string object, as one that was just read is. */
const fresh: Fields = REQUEST.map(([name, value]) => [name, Buffer.from(value).latin1Slice()]);
const either: Fields[] = [REQUEST, fresh];

const benchmarks: readonly MicroBenchmark[] = [
  {
    name: 'decode 10 fields of a gRPC request, all indexed',
    run: () => indexed.decoder.decode(indexed.blocks[0] as Buffer, 0, (indexed.blocks[0] as Buffer).length, list),
  },
  { name: 'encode the same', run: () => encode(indexed.encoder, REQUEST) },
  {
    name: 'encode the same, every value a new string',
    run: () => encode(indexed.encoder, either[++turn & 1] as Fields),
  },
  {
    name: 'decode 13 fields, 3 of them literals of 7, 36 and 55 bytes',
    run: () => {
      const block = traced.blocks[++turn & 1023] as Buffer;
      return traced.decoder.decode(block, 0, block.length, list);
    },
  },
  { name: 'encode the same', run: () => encode(traced.encoder, TRACED[++turn & 1023] as Fields) },
  { name: 'Huffman: decode a path of 37 bytes', run: () => decodeHuffman(coded, 0, codedBytes, plain) },
  {
    name: 'Huffman: encode it',
    run: () => {
      const length = out.latin1Write(PATH, 0);
      return encodeHuffman(out, length, coded, huffmanBytes(out, length) - codedBytes);
    },
  },
  { name: 'write it as it is', run: () => out.latin1Write(PATH, 0) },
];

export default benchmarks;
