import { ProtoWriter } from './proto-writer.ts';
import type { Span } from './span.ts';

/** opentelemetry.proto.trace.v1 with Span's field numbers, and those of the messages around it. */
const SPAN = {
  TRACE_ID: 1,
  SPAN_ID: 2,
  TRACE_STATE: 3,
  PARENT_SPAN_ID: 4,
  NAME: 5,
  KIND: 6,
  START: 7,
  END: 8,
  ATTRIBUTES: 9,
  EVENTS: 11,
  STATUS: 15,
  FLAGS: 16,
} as const;
const EVENT = { TIME: 1, NAME: 2 } as const;
const STATUS_CODE = 3;
const STATUS_ERROR = 2;
const REQUEST_RESOURCE_SPANS = 1;
const RESOURCE_SPANS = { RESOURCE: 1, SCOPE_SPANS: 2 } as const;
const RESOURCE_ATTRIBUTES = 1;
const SCOPE_SPANS = { SCOPE: 1, SPANS: 2 } as const;
const SCOPE = { NAME: 1, VERSION: 2 } as const;

/** SpanFlags: sampled, whether the parent's place is known, and that it lies in another process. */
const FLAG = { SAMPLED: 0x1, HAS_IS_REMOTE: 0x100, IS_REMOTE: 0x200 } as const;

const INITIAL_BYTES = 64 * 1024;

/** Who reports: attributes of the resource, as pairs, and the instrumentation scope. */
export interface SpanOrigin {
  readonly attributes: readonly (readonly [name: string, value: string])[];
  readonly scope: { readonly name: string; readonly version: string };
}

/** Makes ExportTraceServiceRequest messages, all from one origin. */
export class OtlpEncoder {
  private readonly origin: SpanOrigin;
  private readonly writer = new ProtoWriter(INITIAL_BYTES);

  constructor(origin: SpanOrigin) {
    this.origin = origin;
  }

  encode(spans: readonly Span[]): Buffer {
    const { writer, origin } = this;
    const resourceSpans = writer.begin(REQUEST_RESOURCE_SPANS);
    const resource = writer.begin(RESOURCE_SPANS.RESOURCE);
    for (const [name, value] of origin.attributes) writer.attribute(RESOURCE_ATTRIBUTES, name, value);
    writer.end(resource);
    const scopeSpans = writer.begin(RESOURCE_SPANS.SCOPE_SPANS);
    const scope = writer.begin(SCOPE_SPANS.SCOPE);
    writer.text(SCOPE.NAME, origin.scope.name);
    writer.text(SCOPE.VERSION, origin.scope.version);
    writer.end(scope);
    for (const span of spans) writeSpan(writer, span);
    writer.end(scopeSpans);
    writer.end(resourceSpans);
    return writer.take();
  }
}

function writeSpan(writer: ProtoWriter, span: Span): void {
  const at = writer.begin(SCOPE_SPANS.SPANS);
  writer.hex(SPAN.TRACE_ID, span.traceId.padStart(32, '0'));
  writer.hex(SPAN.SPAN_ID, span.spanId);
  if (span.traceState !== '') writer.text(SPAN.TRACE_STATE, span.traceState);
  if (span.parentId !== '') writer.hex(SPAN.PARENT_SPAN_ID, span.parentId);
  writer.text(SPAN.NAME, span.name);
  writer.varint(SPAN.KIND, span.kind);
  writer.fixed64(SPAN.START, nanoseconds(span.startEpochMs));
  writer.fixed64(SPAN.END, nanoseconds(Math.max(span.startEpochMs, span.endEpochMs)));
  const { tags } = span;
  for (let i = 0; i < tags.length; i += 2) writer.attribute(SPAN.ATTRIBUTES, tags[i] as string, tags[i + 1] as string);
  for (const event of span.events) {
    const start = writer.begin(SPAN.EVENTS);
    writer.fixed64(EVENT.TIME, nanoseconds(event.atEpochMs));
    writer.text(EVENT.NAME, event.name);
    writer.end(start);
  }
  if (span.failed) {
    const start = writer.begin(SPAN.STATUS);
    writer.varint(STATUS_CODE, STATUS_ERROR);
    writer.end(start);
  }
  writer.fixed32(SPAN.FLAGS, FLAG.SAMPLED | FLAG.HAS_IS_REMOTE | (span.isParentRemote ? FLAG.IS_REMOTE : 0));
  writer.end(at);
}

/** Milliseconds since the epoch, to the microsecond: a double holds no more of them. */
function nanoseconds(epochMs: number): bigint {
  return BigInt(Math.round(epochMs * 1000)) * 1000n;
}
