import type { TapConfig } from '../../src/config/schema/tap.ts';
import type { HttpStream } from '../../src/filter/index.ts';
import type { HeaderMap } from '../../src/http/headers.ts';
import { compileFraction } from '../../src/matching/fraction.ts';
import { type MatchState, PART, TapMatch } from './match.ts';
import type { Redaction } from './redaction.ts';
import {
  type BodyFormat,
  BodyRecord,
  downstreamConnection,
  headersOf,
  traceText,
  upstreamConnection,
} from './trace.ts';

/** Where the traces of one stream go; false when one was lost. */
export interface TraceSink {
  submit(trace: string): boolean;
  /** No more traces of the stream will come. */
  end?(): void;
}

/** What is recorded of every stream of a filter, whoever asks for it. */
export interface RecordOptions {
  readonly headersReceivedTime: boolean;
  readonly downstreamConnection: boolean;
  readonly upstreamConnection: boolean;
  readonly redaction: Pick<Redaction, 'header' | 'body'>;
}

/** A compiled TapConfig and its output. */
export class Tap {
  readonly match: TapMatch;
  readonly isSampled: () => boolean;
  readonly isStreaming: boolean;
  readonly format: BodyFormat;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  readonly options: RecordOptions;
  readonly open: (traceId: string) => TraceSink;

  constructor(config: TapConfig, options: RecordOptions, open: (traceId: string) => TraceSink) {
    const { output_config: output, tap_enabled: enabled } = config;
    this.match = new TapMatch(config.match);
    this.isSampled = enabled === undefined ? () => true : compileFraction(enabled);
    this.isStreaming = output.streaming;
    this.format = output.sinks[0]?.format === 'JSON_BODY_AS_STRING' ? 'as_string' : 'as_bytes';
    this.maxRequestBytes = output.max_buffered_rx_bytes;
    this.maxResponseBytes = output.max_buffered_tx_bytes;
    this.options = options;
    this.open = open;
  }
}

type Direction = 'request' | 'response';

/** Records one stream for one tap, for as long as it may match. */
export class Recorder {
  readonly #tap: Tap;
  readonly #match: MatchState;
  #requestBody: BodyRecord;
  #responseBody: BodyRecord;
  readonly #traceId = randomId();
  #requestTimeMs = 0;
  #responseTimeMs = 0;
  #responseSeen = false;
  #sink: TraceSink | undefined;
  /** Segments from before it was known that the stream matches. Heads are shown as they are by then, as Envoy does. */
  readonly #waiting: (() => object)[] = [];
  #lost = false;

  private constructor(tap: Tap, match: MatchState) {
    this.#tap = tap;
    this.#match = match;
    this.#requestBody = new BodyRecord(tap.maxRequestBytes);
    this.#responseBody = new BodyRecord(tap.maxResponseBytes);
  }

  /** Undefined when the request's headers say that the stream does not match. */
  static begin(tap: Tap, stream: HttpStream): Recorder | undefined {
    const match = tap.match.begin();
    match.onHeaders(PART.requestHeaders, stream.request);
    if (match.truth === false) return undefined;
    const recorder = new Recorder(tap, match);
    if (tap.options.headersReceivedTime) recorder.#requestTimeMs = Date.now();
    recorder.#headers('request_headers', stream.request, stream);
    return recorder;
  }

  /** False when the stream turned out not to match: the recorder is done. */
  onBody(direction: Direction, chunk: Buffer, end: boolean, stream: HttpStream): boolean {
    const isRequest = direction === 'request';
    this.#match.onBody(isRequest ? PART.requestBody : PART.responseBody, chunk, end);
    if (this.#match.truth === false) return false;
    if (this.#tap.isStreaming && this.#match.truth === true) this.#flush(stream);
    (isRequest ? this.#requestBody : this.#responseBody).add(chunk);
    if (this.#tap.isStreaming && this.#match.truth === true) this.#flush(stream);
    return true;
  }

  onTrailers(direction: Direction, trailers: HeaderMap, stream: HttpStream): boolean {
    const isRequest = direction === 'request';
    this.#match.onHeaders(isRequest ? PART.requestTrailers : PART.responseTrailers, trailers);
    this.#headers(isRequest ? 'request_trailers' : 'response_trailers', trailers, stream);
    return this.#match.truth !== false;
  }

  onResponse(stream: HttpStream): boolean {
    this.#responseSeen = true;
    if (this.#tap.options.headersReceivedTime) this.#responseTimeMs = Date.now();
    const { response } = stream;
    if (response === undefined) return true;
    this.#match.onHeaders(PART.responseHeaders, response);
    this.#headers('response_headers', response, stream);
    return this.#match.truth !== false;
  }

  /** The stream is over. True when it was tapped; `lost` when its trace was not taken. */
  end(stream: HttpStream): { readonly tapped: boolean; readonly lost: boolean } {
    const { response } = stream;
    // A reply that no response hook saw.
    if (!this.#responseSeen && response !== undefined) this.#match.onHeaders(PART.responseHeaders, response);
    const tapped = this.#match.end();
    if (tapped && this.#tap.isStreaming) this.#flush(stream);
    else if (tapped) this.#submit({ http_buffered_trace: this.#buffered(stream) });
    this.#sink?.end?.();
    return { tapped, lost: this.#lost };
  }

  #buffered(stream: HttpStream): object {
    const { options, format } = this.#tap;
    const { redaction } = options;
    const message = (head: HeaderMap, body: BodyRecord, trailers: HeaderMap | undefined, timeMs: number): object => {
      const content = body.toJson(format, head.get('content-type') ?? '', redaction);
      return {
        headers: headersOf(head, redaction),
        ...(content === undefined ? {} : { body: content }),
        trailers: trailers === undefined ? [] : headersOf(trailers, redaction),
        ...(timeMs === 0 ? {} : { headers_received_time: new Date(timeMs).toISOString() }),
      };
    };
    const { request, response, requestTrailers, responseTrailers } = stream;
    const upstream = options.upstreamConnection ? upstreamConnection(stream) : undefined;
    return {
      request: message(request, this.#requestBody, requestTrailers, this.#requestTimeMs),
      ...(response === undefined
        ? {}
        : { response: message(response, this.#responseBody, responseTrailers, this.#responseTimeMs) }),
      ...(options.downstreamConnection ? { downstream_connection: downstreamConnection(stream) } : {}),
      ...(upstream === undefined ? {} : { upstream_connection: upstream }),
    };
  }

  #headers(piece: string, headers: HeaderMap, stream: HttpStream): void {
    if (!this.#tap.isStreaming) return;
    this.#park(stream);
    this.#waiting.push(() => ({ [piece]: { headers: headersOf(headers, this.#tap.options.redaction) } }));
    if (this.#match.truth === true) this.#flush(stream);
  }

  /** What came of the bodies becomes a segment each. */
  #park({ request, response }: HttpStream): void {
    const { format, options, maxRequestBytes, maxResponseBytes } = this.#tap;
    const sent = this.#requestBody.toJson(format, request.get('content-type') ?? '', options.redaction);
    if (sent !== undefined) {
      this.#waiting.push(() => ({ request_body_chunk: sent }));
      this.#requestBody = new BodyRecord(maxRequestBytes);
    }
    const received = this.#responseBody.toJson(format, response?.get('content-type') ?? '', options.redaction);
    if (received === undefined) return;
    this.#waiting.push(() => ({ response_body_chunk: received }));
    this.#responseBody = new BodyRecord(maxResponseBytes);
  }

  /** Writes what waited for the match, and all that came since. */
  #flush(stream: HttpStream): void {
    this.#park(stream);
    for (const piece of this.#waiting.splice(0)) {
      this.#submit({ http_streamed_trace_segment: { trace_id: this.#traceId, ...piece() } });
    }
  }

  #submit(trace: object): void {
    this.#sink ??= this.#tap.open(this.#traceId);
    if (!this.#sink.submit(traceText(trace))) this.#lost = true;
  }
}

/** 64 random bits in decimal, as Envoy numbers streams. */
function randomId(): string {
  const word = (): bigint => BigInt(Math.floor(Math.random() * 0x1_0000_0000));
  return String((word() << 32n) | word());
}
