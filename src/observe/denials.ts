import { formatFlags } from '../http/response-flags.ts';
import { fromWireText } from '../matching/wire-text.ts';
import type { StreamInfo } from './stream-info.ts';

/** One request or connection that a filter refused. */
export interface Denial {
  /** Milliseconds since the epoch. */
  readonly timeEpochMs: number;
  readonly listener: string;
  /** '' for a TCP connection. */
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** The filter that denied, by its configured name. */
  readonly filter: string;
  /** Envoy's words for the reason, with the rule: `rbac_access_denied_matched_policy[p1]`. */
  readonly details: string;
  /** Response flags as the access log prints them, `-` for none. */
  readonly flags: string;
  /** 0 for a TCP connection. */
  readonly status: number;
  readonly remoteAddress: string;
}

/** A slot of the ring: written in place, so that a flood of denials makes no garbage. */
interface Slot {
  timeEpochMs: number;
  listener: string;
  method: string;
  path: string;
  authority: string;
  filter: string;
  details: string;
  flags: number;
  status: number;
  remoteAddress: string;
}

/** Paths are kept to this length: a slot must not hold a whole request head. */
const MAX_TEXT = 256;

/** The last denials of one thread, for the admin page. Memory is bounded by the capacity. */
export class DenialLog {
  /** Denials since the start, those no longer kept included. */
  total = 0;
  readonly #slots: Slot[];

  constructor(capacity = 128) {
    this.#slots = Array.from({ length: capacity }, emptySlot);
  }

  /** Call it when the stream's code, flags and details are set. */
  record(info: StreamInfo, listener: string, filter: string): void {
    const slot = this.#slots[this.total++ % this.#slots.length];
    if (slot === undefined) return;
    const request = info.request;
    slot.timeEpochMs = info.startTimeEpochMs;
    slot.listener = listener;
    slot.method = request === undefined ? '' : request.method;
    slot.path = request === undefined ? '' : bounded(request.path);
    slot.authority = request === undefined ? '' : bounded(request.authority);
    slot.filter = filter;
    slot.details = info.responseCodeDetails || info.connectionTerminationDetails;
    slot.flags = info.responseFlags;
    slot.status = info.responseCode;
    slot.remoteAddress = info.remoteAddress;
  }

  /** What is kept, the newest first. */
  list(): Denial[] {
    const kept = Math.min(this.total, this.#slots.length);
    return Array.from({ length: kept }, (_, age) => {
      const slot = this.#slots[(this.total - 1 - age) % this.#slots.length] as Slot;
      return {
        ...slot,
        path: readable(slot.path),
        authority: readable(slot.authority),
        details: readable(slot.details),
        flags: formatFlags(slot.flags),
      };
    });
  }
}

/** Bytes of a message as text. */
function readable(text: string): string {
  return text.endsWith('…') ? `${fromWireText(text.slice(0, -1))}…` : fromWireText(text);
}

function bounded(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

function emptySlot(): Slot {
  return {
    timeEpochMs: 0,
    listener: '',
    method: '',
    path: '',
    authority: '',
    filter: '',
    details: '',
    flags: 0,
    status: 0,
    remoteAddress: '',
  };
}
