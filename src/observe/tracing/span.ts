/** The kinds of spans that a proxy has, with OTLP's numbers. */
export const SPAN_KIND = { SERVER: 2, CLIENT: 3 } as const;
export type SpanKind = (typeof SPAN_KIND)[keyof typeof SPAN_KIND];

/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS. */
const SERVER_ERRORS: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);

export interface SpanEvent {
  readonly name: string;
  readonly atEpochMs: number;
}

/** One span that is reported. Tags are pairs of byte strings (latin1, one character per byte), as headers have them. */
export class Span {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for the first of its trace. */
  readonly parentId: string;
  readonly traceState: string;
  readonly kind: SpanKind;
  /** The parent lies in another process. */
  readonly isParentRemote: boolean;
  readonly startEpochMs: number;
  name: string;
  endEpochMs = 0;
  /** Zipkin: the id is the one of the client's span. */
  isShared = false;
  /** Status ERROR, which the HTTP status decides. */
  failed = false;
  /** Name, value, name, value…; each name once. */
  readonly tags: string[] = [];
  readonly events: SpanEvent[] = [];

  constructor(facts: {
    traceId: string;
    spanId: string;
    parentId: string;
    traceState: string;
    kind: SpanKind;
    isParentRemote: boolean;
    startEpochMs: number;
    name: string;
  }) {
    this.traceId = facts.traceId;
    this.spanId = facts.spanId;
    this.parentId = facts.parentId;
    this.traceState = facts.traceState;
    this.kind = facts.kind;
    this.isParentRemote = facts.isParentRemote;
    this.startEpochMs = facts.startEpochMs;
    this.name = facts.name;
  }

  /** Sets a tag; the last value counts. */
  tag(name: string, value: string): void {
    const { tags } = this;
    for (let i = 0; i < tags.length; i += 2) {
      if (tags[i] !== name) continue;
      tags[i + 1] = value;
      return;
    }
    tags.push(name, value);
  }

  /** The HTTP status decides of the span's: from 500 on, and for clients from 400 on, it is an error (OpenTelemetry). */
  tagStatus(code: number): void {
    this.tag('http.status_code', String(code));
    if (code >= 500 || (code >= 400 && this.kind === SPAN_KIND.CLIENT)) this.failed = true;
  }

  /** For a server, gRPC errors that are its own fault are errors; for a client all are (OpenTelemetry). */
  tagCallStatus(status: string): void {
    this.tag('grpc.status_code', status);
    if (this.kind === SPAN_KIND.CLIENT ? status !== '0' : SERVER_ERRORS.has(status)) this.failed = true;
  }

  event(name: string, atEpochMs: number): void {
    this.events.push({ name, atEpochMs });
  }
}
