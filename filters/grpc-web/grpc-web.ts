import { message } from '../../src/config/schema/building-blocks.ts';
import { type BodyHookResult, bufferBody, defineHttpFilter, type HttpStream, reply } from '../../src/filter/index.ts';
import { isGrpcContentType } from '../../src/http/grpc/content-type.ts';
import { encodeGrpcMessage } from '../../src/http/grpc/message.ts';
import { methodNameOf } from '../../src/http/grpc/method-name.ts';
import { httpToGrpcStatus } from '../../src/http/grpc/status.ts';
import type { HeaderMap } from '../../src/http/headers.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { CallStatsTable } from '../grpc-call-stats.ts';
import { Base64Decoder, MessageEncoder } from './base64.ts';

/** envoy.extensions.filters.http.grpc_web.v3.GrpcWeb. */
export const GrpcWeb = message({});

const BINARY = ['application/grpc-web', 'application/grpc-web+proto'];
const TEXT = ['application/grpc-web-text', 'application/grpc-web-text+proto'];
/** Most of a body that is no gRPC that becomes a grpc-message, and most that is collected for it. */
const MAX_MESSAGE_BYTES = 16_384;
const MAX_COLLECTED_BYTES = 1_048_576;
/** Bit of the flag byte of the frame with the trailers (grpc/doc/PROTOCOL-WEB.md). */
const TRAILERS_FLAG = 0x80;
const EMPTY = Buffer.alloc(0);

/** One call. */
class Call {
  /** `service.method`. */
  readonly method: string;
  /** Undefined for a binary request. */
  readonly decoder: Base64Decoder | undefined;
  /** Undefined for a binary response. */
  readonly encoder: MessageEncoder | undefined;
  /** The response is no gRPC: its body becomes a grpc-message. */
  isForeign = false;

  constructor(method: string, isTextRequest: boolean, isTextResponse: boolean) {
    this.method = method;
    this.decoder = isTextRequest ? new Base64Decoder() : undefined;
    this.encoder = isTextResponse ? new MessageEncoder() : undefined;
  }
}

const BAD_REQUEST = { body: 'Bad gRPC-web request, invalid base64 data.' };
const INVALID = reply(400, { ...BAD_REQUEST, details: 'grpc_base_64_decode_failed' });
const CUT = reply(400, { ...BAD_REQUEST, details: 'grpc_base_64_decode_failed_bad_size' });

/**
 * Lets browsers call gRPC services (Envoy: envoy.filters.http.grpc_web): requests in gRPC-Web, binary or in base64,
 * go on as gRPC, and responses come back so, with the trailers as the last frame of the body.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb
 */
export const grpcWeb = defineHttpFilter({
  name: 'envoy.filters.http.grpc_web',
  configType: 'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb',
  config: GrpcWeb,
  semantics: { side: 'either', state: 'none', body: 'write' },
  create(_config, env) {
    const table = new CallStatsTable(env, 'grpc-web');
    const calls = env.slot<Call>();
    const count = (call: Call, stream: HttpStream, grpcStatus: string | undefined) => {
      if (call.method !== '' && grpcStatus !== undefined) table.of(stream, call.method)?.countStatus(grpcStatus);
    };

    return {
      rewritesBody: (stream) => calls.get(stream) !== undefined,
      onRequest(request, stream) {
        const type = request.get('content-type') ?? '';
        const isTextRequest = TEXT.includes(type);
        if (!isTextRequest && !BINARY.includes(type)) return;
        calls.set(stream, new Call(methodOf(request), isTextRequest, TEXT.includes(request.get('accept') ?? '')));
        request.remove('content-length');
        request.set('content-type', 'application/grpc');
        request.set('te', 'trailers');
        if (!request.has('grpc-accept-encoding')) request.set('grpc-accept-encoding', 'identity');
      },
      onRequestBody(chunk, end, stream): BodyHookResult {
        const decoder = calls.get(stream)?.decoder;
        if (decoder === undefined) return undefined;
        return decoder.decode(chunk, end) ?? (decoder.isCut ? CUT : INVALID);
      },
      onResponse(response, stream) {
        const call = calls.get(stream);
        if (call === undefined) return;
        count(call, stream, response.get('grpc-status'));
        const type = response.get('content-type') ?? '';
        call.isForeign =
          !BINARY.includes(type) && !TEXT.includes(type) && !(response.status === 200 && isGrpcContentType(type));
        response.set('content-type', call.encoder === undefined ? BINARY[1]! : TEXT[1]!);
        response.remove('content-length');
        return call.isForeign ? bufferBody(MAX_COLLECTED_BYTES) : undefined;
      },
      onResponseBody(chunk, end, stream): BodyHookResult {
        const call = calls.get(stream);
        if (call === undefined) return undefined;
        const frame = end ? takeTrailers(call, stream) : EMPTY;
        if (call.isForeign) return explain(chunk, stream);
        if (call.encoder === undefined) return frame.length === 0 ? undefined : Buffer.concat([chunk, frame]);
        return Buffer.from(call.encoder.encode(chunk) + frame.toString('base64'), 'latin1');
      },
    };

    /** The trailers as a frame; the message itself goes without. */
    function takeTrailers(call: Call, stream: HttpStream): Buffer {
      const trailers = stream.responseTrailers;
      if (trailers === undefined) return EMPTY;
      count(call, stream, trailers.get('grpc-status'));
      const frame = trailersFrame(trailers);
      trailers.reset('');
      return frame;
    }
  },
});

function methodOf(request: RequestHead): string {
  const name = methodNameOf(request.path);
  return name === undefined ? '' : `${name.service}.${name.method}`;
}

/** What an answer that is no gRPC says, as gRPC says it. */
function explain(body: Buffer, stream: HttpStream): Buffer {
  const { response } = stream;
  if (response === undefined) return body;
  response.set('grpc-status', String(httpToGrpcStatus(response.status)));
  response.set('grpc-message', encodeGrpcMessage(body.toString('latin1', 0, MAX_MESSAGE_BYTES)));
  return EMPTY;
}

function trailersFrame(trailers: HeaderMap): Buffer {
  let text = '';
  for (const [name, value] of trailers.entries()) text += `${name}:${value}\r\n`;
  const frame = Buffer.alloc(5 + text.length);
  frame[0] = TRAILERS_FLAG;
  frame.writeUInt32BE(text.length, 1);
  frame.latin1Write(text, 5);
  return frame;
}
