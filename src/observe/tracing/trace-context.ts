import type { RequestHead } from '../../http/message.ts';

/** What a request says of the trace that it belongs to. */
export interface ParentContext {
  /** 32 hexadecimal digits, or 16 in B3; '' where only the decision came. */
  readonly traceId: string;
  /** The span that sent the request, 16 digits; '' where only the decision came. */
  readonly spanId: string;
  /** The span above that one where the sender told it (B3), else ''. */
  readonly parentId: string;
  /** What was decided upstream of here; undefined leaves it to this proxy. */
  readonly sampled: boolean | undefined;
  /** `tracestate` for the next hop, '' without. */
  readonly traceState: string;
  /** How the context came, and leaves again. */
  readonly form: 'W3C' | 'B3_SINGLE' | 'B3_MULTI';
}

/** The span of which the next hop is told. */
export interface OutgoingContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly sampled: boolean;
  readonly traceState: string;
  /** How the request's own context came; undefined when it had none. */
  readonly form: ParentContext['form'] | undefined;
}

/** One way to write a trace's context into headers. */
export interface Propagation {
  /** The request's context; undefined without one, and for one that is malformed: a new trace begins there. */
  extract(request: RequestHead): ParentContext | undefined;
  /** Puts the context in the place of what was there. */
  inject(request: RequestHead, context: OutgoingContext): void;
}
