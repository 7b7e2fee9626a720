import {
  CODE,
  data,
  FLAG,
  frame,
  MAX_WINDOW,
  ping,
  SETTING,
  settings,
  settingsAck,
  TYPE,
  windowUpdate,
} from '../../../support/http2/frames.ts';
import { answerWell, type HostileCase, head, OK } from './case.ts';

const FINE = { status: 200, flags: '-', body: 'fine' } as const;
const BROKEN = {
  status: 502,
  flags: 'UPE',
  details: /^upstream_reset_before_response_started\{protocol_error/,
} as const;

/** A frame that ends the connection, instead of an answer. */
const fatal = (name: string, told: number, frames: (id: number) => Buffer[]): HostileCase => ({
  name,
  answer: (upstream, id) => upstream.write(...frames(id)),
  expects: BROKEN,
  told,
});

const setting = (id: number, value: number): Buffer => settings({ [id]: value });
const many = (count: number, bytes: Buffer): Buffer => Buffer.concat(Array<Buffer>(count).fill(bytes));

/** Frames, settings and windows that are wrong, or unusual. */
export const CONNECTIONS: readonly HostileCase[] = [
  fatal('a frame that is too large', CODE.FRAME_SIZE_ERROR, (id) => [data(id, Buffer.alloc(16_385))]),
  fatal('PING of a wrong size', CODE.FRAME_SIZE_ERROR, () => [ping('short')]),
  fatal('PING of a stream', CODE.PROTOCOL_ERROR, (id) => [frame(TYPE.PING, 0, id, Buffer.alloc(8))]),
  fatal('DATA of the connection', CODE.PROTOCOL_ERROR, () => [data(0, 'x')]),
  fatal('DATA of an idle stream', CODE.PROTOCOL_ERROR, (id) => [data(id + 20, 'x')]),
  fatal('RST_STREAM of an idle stream', CODE.PROTOCOL_ERROR, (id) => [
    frame(TYPE.RST_STREAM, 0, id + 20, Buffer.alloc(4)),
  ]),
  fatal('more padding than payload', CODE.PROTOCOL_ERROR, (id) => [
    frame(TYPE.DATA, FLAG.PADDED, id, Buffer.from([9, 1])),
  ]),
  fatal('a window increment of zero', CODE.PROTOCOL_ERROR, () => [windowUpdate(0, 0)]),
  fatal('a window that overflows', CODE.FLOW_CONTROL_ERROR, () => [windowUpdate(0, MAX_WINDOW)]),
  fatal('SETTINGS of a wrong size', CODE.FRAME_SIZE_ERROR, () => [frame(TYPE.SETTINGS, 0, 0, Buffer.alloc(5))]),
  fatal('SETTINGS of a stream', CODE.PROTOCOL_ERROR, (id) => [frame(TYPE.SETTINGS, 0, id)]),
  fatal('an acknowledgement with settings', CODE.FRAME_SIZE_ERROR, () => [
    frame(TYPE.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6)),
  ]),
  fatal('settings that enable push', CODE.PROTOCOL_ERROR, () => [setting(SETTING.ENABLE_PUSH, 1)]),
  fatal('an initial window that is too large', CODE.FLOW_CONTROL_ERROR, () => [
    setting(SETTING.INITIAL_WINDOW_SIZE, 2 ** 31),
  ]),
  fatal('a frame size that is too small', CODE.PROTOCOL_ERROR, () => [setting(SETTING.MAX_FRAME_SIZE, 100)]),
  fatal('a frame size that is too large', CODE.PROTOCOL_ERROR, () => [setting(SETTING.MAX_FRAME_SIZE, 2 ** 24)]),
  {
    name: 'a window increment of zero for the stream',
    answer: (upstream, id) => upstream.write(windowUpdate(id, 0)),
    expects: BROKEN,
  },
  {
    name: 'a window of the stream that overflows',
    answer: (upstream, id) => upstream.write(windowUpdate(id, MAX_WINDOW)),
    expects: BROKEN,
  },
  {
    name: 'more data than the window allows',
    answer: (upstream, id) => {
      upstream.write(head(id, OK));
      // Far more than any window; a client that reads slowly is not the cause.
      for (let i = 0; i < 2000; i++) upstream.write(many(4, data(id, Buffer.alloc(16_000))));
    },
    expects: { status: 'reset', flags: 'UPE' },
    envoy: { status: 'reset', flags: 'UR' },
  },
  {
    name: 'a flood of empty DATA',
    answer: (upstream, id) => upstream.write(head(id, OK), many(50_000, data(id))),
    expects: { status: 'reset', flags: 'UPE' },
  },
  {
    name: 'a flood of PING, which is answered',
    answer: (upstream, id) => {
      upstream.write(many(500, ping()));
      answerWell(upstream, id);
    },
    expects: FINE,
  },
  {
    name: 'a flood of SETTINGS, which is answered',
    answer: (upstream, id) => {
      upstream.write(many(500, setting(SETTING.HEADER_TABLE_SIZE, 100)));
      answerWell(upstream, id);
    },
    expects: FINE,
  },
  {
    name: 'no settings at all',
    stays: true,
    options: { settings: null },
    answer: (upstream, id) => answerWell(upstream, id),
    expects: { status: 502, flags: 'UPE' },
  },
  {
    name: 'settings that are never acknowledged',
    options: { acknowledges: false },
    answer: (upstream, id) => answerWell(upstream, id),
    expects: FINE,
  },
  {
    name: 'acknowledgements that nobody asked for',
    answer: (upstream, id) => {
      upstream.write(many(100, settingsAck()), many(100, ping('whatever', true)));
      answerWell(upstream, id);
    },
    expects: FINE,
    envoy: { status: 502, flags: 'UPE' },
  },
  {
    name: 'no table for headers, said in the middle',
    answer: (upstream, id) => {
      upstream.write(setting(SETTING.HEADER_TABLE_SIZE, 0));
      answerWell(upstream, id);
    },
    expects: FINE,
  },
  {
    name: 'windows that shrink and grow under an upload',
    method: 'POST',
    upload: Buffer.alloc(300_000, 'x'),
    options: { opensWindows: false, settings: { [SETTING.INITIAL_WINDOW_SIZE]: 100_000 } },
    answer: (upstream, id) => {
      upstream.write(setting(SETTING.INITIAL_WINDOW_SIZE, 10), setting(SETTING.INITIAL_WINDOW_SIZE, 50_000));
      upstream.write(windowUpdate(0, 300_000), setting(SETTING.INITIAL_WINDOW_SIZE, 0), windowUpdate(id, 300_000));
      void upstream.message(id, 10_000).then(({ body }) => {
        upstream.write(head(id, OK), data(id, `${body.length} bytes`, true));
      });
    },
    expects: { status: 200, flags: '-', body: '300000 bytes' },
  },
  {
    name: 'a window that never opens for an upload',
    stays: true,
    method: 'POST',
    upload: Buffer.alloc(300_000, 'x'),
    options: { opensWindows: false, settings: { [SETTING.INITIAL_WINDOW_SIZE]: 0 } },
    answer: () => {},
    // The client's body is left where it is, so its request is not complete; Envoy takes all of it.
    expects: { status: 408, flags: 'SI' },
    envoy: { status: 504, flags: 'UT' },
  },
  {
    name: 'settings that allow no stream, and come when there is one',
    stays: true,
    options: { settings: { [SETTING.MAX_CONCURRENT_STREAMS]: 0 } },
    answer: (upstream, id) => answerWell(upstream, id),
    expects: FINE,
  },
  {
    name: 'one stream at a time',
    options: { settings: { [SETTING.MAX_CONCURRENT_STREAMS]: 1 } },
    answer: (upstream, id) => answerWell(upstream, id),
    expects: FINE,
  },
  {
    name: 'a frame size and a list size of its own',
    options: { settings: { [SETTING.MAX_FRAME_SIZE]: 100_000, [SETTING.MAX_HEADER_LIST_SIZE]: 10_000, 43981: 1 } },
    answer: (upstream, id) => answerWell(upstream, id),
    expects: FINE,
  },
];
