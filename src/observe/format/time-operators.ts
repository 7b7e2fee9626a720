import type { StreamInfo } from '../stream-info.ts';
import type { FieldFactory } from './field.ts';
import { compileLocalTime, compileTime } from './start-time.ts';

type TimePoint = (info: StreamInfo) => number;

/** Points of COMMON_DURATION, on the monotonic clock; 0 where the event has not happened. */
const POINTS: Readonly<Record<string, TimePoint>> = {
  DS_RX_BEG: (info) => info.startMs,
  DS_RX_END: (info) => info.requestEndMs,
  US_TX_BEG: (info) => info.upstreamTxBeginMs,
  US_TX_END: (info) => info.upstreamTxEndMs,
  US_RX_BEG: (info) => info.upstreamRxBeginMs,
  US_RX_END: (info) => info.upstreamRxEndMs,
  DS_TX_BEG: (info) => info.downstreamTxBeginMs,
  DS_TX_END: (info) => info.downstreamTxEndMs,
};

const PER_MS: Readonly<Record<string, number>> = { ms: 1, us: 1e3, ns: 1e6 };

const commonDuration: FieldFactory = (argument) => {
  const [from, to, precision = 'ms', ...rest] = (argument ?? '').split(':');
  const begin = POINTS[from ?? ''];
  const end = POINTS[to ?? ''];
  const perMs = PER_MS[precision];
  if (begin === undefined || end === undefined || perMs === undefined || rest.length > 0) {
    throw new Error(`needs (BEGIN:END[:ms|us|ns]) with BEGIN and END of ${Object.keys(POINTS).join(', ')}`);
  }
  return (info) => between(begin(info), end(info), perMs);
};

/** undefined when either event has not happened; negative spans are 0, as the events were stamped in one turn. */
function between(beginMs: number, endMs: number, perMs = 1): number | undefined {
  if (beginMs === 0 || endMs === 0) return undefined;
  const span = (endMs - beginMs) * perMs;
  return span > 0 ? Math.floor(span) : 0;
}

function time(read: (info: StreamInfo) => number, isLocal = false): FieldFactory {
  return (argument) => {
    const format = isLocal ? compileLocalTime(argument ?? '') : compileTime(argument ?? '');
    return (info) => format(read(info));
  };
}

/** A span in milliseconds. */
function span(read: (info: StreamInfo) => number | undefined): FieldFactory {
  return (argument) => {
    if (argument !== undefined) throw new Error('takes no argument');
    return read;
  };
}

/** Operators that tell times. Without COMMON_DURATION's precision, all durations are whole milliseconds. */
export const TIME_OPERATORS: Readonly<Record<string, FieldFactory>> = {
  START_TIME: time((info) => info.startTimeEpochMs),
  START_TIME_LOCAL: time((info) => info.startTimeEpochMs, true),
  EMIT_TIME: time(() => Date.now()),
  EMIT_TIME_LOCAL: time(() => Date.now(), true),
  DURATION: span((info) => between(info.startMs, info.endMs === 0 ? performance.now() : info.endMs)),
  REQUEST_DURATION: span((info) => between(info.startMs, info.requestEndMs)),
  REQUEST_TX_DURATION: span((info) => between(info.startMs, info.upstreamTxEndMs)),
  RESPONSE_DURATION: span((info) => between(info.startMs, info.upstreamRxBeginMs)),
  RESPONSE_TX_DURATION: span((info) => between(info.upstreamRxBeginMs, info.downstreamTxEndMs)),
  COMMON_DURATION: commonDuration,
};
