import {
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  ERROR,
  LARGEST_MAX_FRAME_BYTES,
  MAX_WINDOW_BYTES,
  SETTING,
} from './protocol.ts';

/** What was wrong with a SETTINGS frame. */
export interface SettingsError {
  readonly code: number;
  readonly details: string;
}

function wrong(code: number, details: string): SettingsError {
  return { code, details };
}

/** What the peer's SETTINGS frames said so far (RFC 9113 §6.5.2, RFC 8441 §3). */
export class PeerSettings {
  /** A first frame came. */
  isKnown = false;
  streamWindowBytes = DEFAULT_WINDOW_BYTES;
  maxStreams = Number.POSITIVE_INFINITY;
  allowsConnect = false;
  /** A server may only say 0 (RFC 9113 §6.5.2). */
  maxEnablePush = 1;
  /** Of the table of our encoder: the sizes that the last frame went through, for the smallest one counts (RFC 7541 §4.2). */
  readonly tableSizes: number[] = [];

  /** Takes the frame's payload, `buffer[start, end)`. Its values hold in the order in which they stand there. */
  apply(buffer: Buffer, start: number, end: number): SettingsError | undefined {
    this.isKnown = true;
    this.tableSizes.length = 0;
    for (let at = start; at < end; at += 6) {
      const error = this.set(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2));
      if (error !== undefined) return error;
    }
    return undefined;
  }

  private set(id: number, value: number): SettingsError | undefined {
    switch (id) {
      case SETTING.HEADER_TABLE_SIZE:
        this.tableSizes.push(value);
        break;
      case SETTING.ENABLE_PUSH:
        if (value > this.maxEnablePush) return wrong(ERROR.PROTOCOL_ERROR, 'ENABLE_PUSH is 0, or 1 of a client');
        break;
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        break;
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW_BYTES) return wrong(ERROR.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE too large');
        this.streamWindowBytes = value;
        break;
      case SETTING.MAX_FRAME_SIZE:
        // Larger frames than the usual ones would let one stream keep the others waiting: none are sent.
        if (value < DEFAULT_MAX_FRAME_BYTES || value > LARGEST_MAX_FRAME_BYTES)
          return wrong(ERROR.PROTOCOL_ERROR, 'MAX_FRAME_SIZE out of range');
        break;
      case SETTING.ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (this.allowsConnect && value === 0))
          return wrong(ERROR.PROTOCOL_ERROR, 'ENABLE_CONNECT_PROTOCOL is 1 and stays so');
        this.allowsConnect = value === 1;
        break;
      default:
      // Unknown ones are ignored. MAX_HEADER_LIST_SIZE is advice: the peer refuses what is too large.
    }
    return undefined;
  }
}
