import { createRequire } from 'node:module';
import { HeadParser } from '../../../../src/http/http1/head-parser.ts';
import { RequestHead } from '../../../../src/http/message.ts';
import type { MicroBenchmark } from '../../micro.ts';

/**
 * Our head parser beside llhttp: undici's SIMD WebAssembly build, driven with spans in its own memory, as lean as it
 * can be (offsets are kept, the head becomes one string, nothing else is decoded).
 */
/** What Node's types do not declare without the DOM's. */
interface WasmApi {
  Module: new (bytes: Buffer) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
}

const HEAD = Buffer.from(
  'GET /api/v1/orders/17?expand=items HTTP/1.1\r\n' +
    'Host: orders.default.svc.cluster.local:8080\r\n' +
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n' +
    'Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\n' +
    'X-Request-Id: 7d9f6a52-8a3e-4a51-9f0f-2f8f4a0d3b11\r\n' +
    'X-Forwarded-For: 10.2.3.4\r\nCookie: session=0123456789abcdef; theme=dark\r\n' +
    'Authorization: Bearer abcdefghijklmnopqrstuvwxyz\r\n\r\n',
  'latin1',
);

const ours = new HeadParser({ maxHeaderBytes: 61_440, maxHeaderCount: 100, preserveCase: true });
const request = new RequestHead();

const llhttp = createLlhttp();

function createLlhttp(): { memory: Buffer; at: number; execute: () => number; spans: Int32Array; count: () => number } {
  const require = createRequire(import.meta.url);
  const wasm = require('undici/lib/llhttp/llhttp_simd-wasm.js') as Buffer;
  const spans = new Int32Array(1024);
  let used = 0;
  const span = (_: number, at: number, length: number): number => {
    spans[used++] = at;
    spans[used++] = length;
    return 0;
  };
  const none = (): number => 0;
  const env = {
    wasm_on_url: span,
    wasm_on_status: span,
    wasm_on_message_begin: none,
    wasm_on_header_field: span,
    wasm_on_header_value: span,
    wasm_on_headers_complete: none,
    wasm_on_body: none,
    wasm_on_message_complete: none,
  };
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;
  const { exports } = new Instance(new Module(wasm), { env });
  const api = exports as {
    memory: { buffer: ArrayBuffer };
    malloc(bytes: number): number;
    llhttp_alloc(type: number): number;
    llhttp_execute(parser: number, at: number, length: number): number;
  };
  const parser = api.llhttp_alloc(1);
  const at = api.malloc(65_536);
  return {
    memory: Buffer.from(api.memory.buffer),
    at,
    spans,
    count: () => used,
    execute: () => {
      used = 0;
      return api.llhttp_execute(parser, at, HEAD.length);
    },
  };
}
HEAD.copy(llhttp.memory, llhttp.at);
if (llhttp.execute() !== 0 || llhttp.count() !== 34) throw new Error(`llhttp found ${llhttp.count() / 2} spans`);

const benchmarks: readonly MicroBenchmark[] = [
  {
    name: 'own parser: head of 8 fields, names interned, framing checked',
    run: () => {
      if (!ours.parseRequest(HEAD, 0, HEAD.length, request)) throw new Error('not parsed');
      request.raw = HEAD.latin1Slice(0, ours.headBytes);
      return request;
    },
  },
  {
    name: 'llhttp SIMD WebAssembly, spans only, text copied out',
    run: () => {
      llhttp.execute();
      return llhttp.memory.latin1Slice(llhttp.at, llhttp.at + HEAD.length);
    },
  },
];

export default benchmarks;
