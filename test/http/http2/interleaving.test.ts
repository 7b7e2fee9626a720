import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  data,
  endsStream,
  FLAG,
  type Frame,
  frame,
  headers,
  isAck,
  padded,
  ping,
  SETTING,
  settingsAck,
  settingsOf,
  TYPE,
  windowUpdate,
} from '../../support/http2/frames.ts';
import { encode, requestBlock } from '../../support/http2/hpack.ts';
import { Http2Peer, serveHttp2 } from '../../support/http2/peer.ts';
import { eventually, quiet } from '../../support/story.ts';
import { http2Story } from './holding-upstream.ts';
import { head, OK } from './hostile/case.ts';

/** What a peer may send of DATA, as a naive model counts it: per stream and on the connection. */
class Windows {
  private connection = 65_535;
  private initial = 65_535;
  private readonly streams = new Map<number, number>();

  of(id: number): number {
    if (!this.streams.has(id)) this.streams.set(id, this.initial);
    return Math.min(this.streams.get(id) as number, this.connection);
  }

  /** Whether the stream's own window may grow by so much (RFC 9113 §6.9.1). */
  takes(id: number, increment: number): boolean {
    return (this.streams.get(id) ?? this.initial) + increment < 2 ** 31;
  }

  sent(id: number, bytes: number): void {
    expect(bytes).toBeLessThanOrEqual(this.of(id));
    this.streams.set(id, (this.streams.get(id) as number) - bytes);
    this.connection -= bytes;
  }

  /** Frames of the other side, or what this side sends to it. */
  on(one: Frame): void {
    if (one.type === TYPE.WINDOW_UPDATE) {
      const increment = one.payload.readUInt32BE(0);
      if (one.streamId === 0) this.connection += increment;
      else this.streams.set(one.streamId, (this.streams.get(one.streamId) ?? this.initial) + increment);
    } else if (one.type === TYPE.SETTINGS && !isAck(one)) {
      const initial = settingsOf(one).get(SETTING.INITIAL_WINDOW_SIZE);
      if (initial !== undefined) this.begin(initial);
    }
  }

  /** Streams begin with another window from now on; those that are open change by the difference (RFC 9113 §6.9.2). */
  begin(initial: number): void {
    for (const [id, left] of this.streams) this.streams.set(id, left + initial - this.initial);
    this.initial = initial;
  }
}

interface Upload {
  readonly body: Buffer;
  readonly pieces: readonly number[];
  readonly padding: boolean;
  readonly trailers: boolean;
}

const upload = fc.record({
  size: fc.oneof(fc.nat(200), fc.nat(40_000), fc.nat(100_000)),
  pieces: fc.array(fc.integer({ min: 1, max: 16_000 }), { minLength: 1, maxLength: 5 }),
  padding: fc.boolean(),
  trailers: fc.boolean(),
});

const plan = fc.record({
  uploads: fc.array(upload, { minLength: 1, maxLength: 8 }),
  /** Sizes of the writes of the client. */
  cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1000, max: 40_000 })), { maxLength: 8 }),
  /** First window of streams of the app, and of the client. */
  appWindow: fc.constantFrom(0, 1, 1000, 65_535, 1_000_000),
  clientWindow: fc.constantFrom(0, 1, 1000, 65_535, 1_000_000),
  /** How much the app, and the client, open a window by. */
  grant: fc.constantFrom(1000, 20_000, 200_000),
  streams: fc.constantFrom(1, 3, 100),
  order: fc.array(fc.nat(11), { minLength: 1, maxLength: 40 }),
});

/**
 * Many streams at once: the client cuts its bytes anywhere, both ends open their windows as they like, and the app
 * sends each body back. The model counts windows on all four ways and knows what must arrive.
 */
test('what goes in on a stream comes out on it, whole and once, and no window is ever exceeded', async () => {
  await fc.assert(
    fc.asyncProperty(plan, async ({ uploads, cuts, appWindow, clientWindow, grant, streams, order }) => {
      // What the proxy may send to the app; and to the client.
      const toApp = new Map<Http2Peer, Windows>();
      const echoed = new Map<Http2Peer, { windows: Windows; queue: [id: number, rest: Buffer, ended: boolean][] }>();
      await using app = await serveHttp2(() => {}, {
        settings: { [SETTING.INITIAL_WINDOW_SIZE]: appWindow, [SETTING.MAX_CONCURRENT_STREAMS]: streams },
        opensWindows: false,
      });
      await using proxy = await http2Story(app.port);

      /** The app: takes bodies, opens windows, and sends everything back within the proxy's windows. */
      const attended = new Set<Http2Peer>();
      const attend = (peer: Http2Peer): void => {
        attended.add(peer);
        const received = new Windows();
        toApp.set(peer, received);
        const back = { windows: new Windows(), queue: [] as [number, Buffer, boolean][] };
        echoed.set(peer, back);
        const flush = (): void => {
          for (const item of back.queue) {
            const size = Math.min(item[1].length, back.windows.of(item[0]), 16_384);
            if (size > 0) {
              peer.write(data(item[0], item[1].subarray(0, size)));
              back.windows.sent(item[0], size);
              item[1] = item[1].subarray(size);
            }
          }
          for (const item of back.queue.filter(([, rest, ended]) => ended && rest.length === 0)) {
            peer.write(frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, item[0], encode([['x-end', 'yes']])));
            back.queue.splice(back.queue.indexOf(item), 1);
          }
          if (back.queue.some(([id, rest]) => rest.length > 0 && back.windows.of(id) > 0)) setImmediate(flush);
        };
        const onFrame = (one: Frame): void => {
          back.windows.on(one);
          // From here on the proxy goes by what the app told it.
          if (one.type === TYPE.SETTINGS && isAck(one)) received.begin(appWindow);
          if (one.type === TYPE.HEADERS && !back.queue.some(([id]) => id === one.streamId)) {
            back.queue.push([one.streamId, Buffer.alloc(0), false]);
            peer.write(head(one.streamId, OK));
            const first = windowUpdate(one.streamId, grant);
            received.of(one.streamId);
            received.on({ type: TYPE.WINDOW_UPDATE, flags: 0, streamId: one.streamId, payload: first.subarray(9) });
            peer.write(first);
          }
          const item = back.queue.find(([id]) => id === one.streamId);
          if (one.type === TYPE.DATA && item !== undefined) {
            received.sent(one.streamId, one.payload.length);
            item[1] = Buffer.concat([item[1], one.payload]);
            if (one.payload.length > 0) {
              for (const id of endsStream(one) ? [0] : [0, one.streamId]) {
                const more = id !== 0 && received.takes(id, one.payload.length + grant) ? grant : 0;
                const update = windowUpdate(id, one.payload.length + more);
                received.on({ type: TYPE.WINDOW_UPDATE, flags: 0, streamId: id, payload: update.subarray(9) });
                peer.write(update);
              }
            }
          }
          if (item !== undefined && endsStream(one)) item[2] = true;
          flush();
        };
        for (const one of peer.frames) onFrame(one);
        peer.onFrame = onFrame;
      };
      app.server.on('connection', () => {
        for (const peer of app.peers) if (!attended.has(peer)) attend(peer);
      });

      using client = await Http2Peer.connect(proxy.port, {
        settings: { [SETTING.INITIAL_WINDOW_SIZE]: clientWindow },
        opensWindows: false,
        acknowledges: false,
      });
      let out: Buffer = Buffer.alloc(0);
      let cut = 0;
      let isWriting = false;
      /** Everything that the client says, cut anywhere. */
      const say = async (bytes: Buffer): Promise<void> => {
        out = Buffer.concat([out, bytes]);
        if (isWriting) return;
        isWriting = true;
        while (out.length > 0) {
          const size = [...cuts, 20_000][cut++ % (cuts.length + 1)] as number;
          client.write(out.subarray(0, size));
          out = out.subarray(size);
          if (cut % 3 === 0) await new Promise((done) => setImmediate(done));
        }
        isWriting = false;
      };
      const mine = new Windows();
      const theirs = new Windows();
      let wake: () => void = () => {};
      const ends = new Map<number, number>();
      client.onFrame = (one) => {
        mine.on(one);
        if (one.type === TYPE.SETTINGS && isAck(one)) theirs.begin(clientWindow);
        if (one.type === TYPE.SETTINGS && !isAck(one)) void say(settingsAck());
        if (one.type === TYPE.PING && !isAck(one)) void say(ping(one.payload, true));
        if (endsStream(one)) ends.set(one.streamId, (ends.get(one.streamId) ?? 0) + 1);
        if (one.type === TYPE.DATA && one.payload.length > 0) {
          theirs.sent(one.streamId, one.payload.length);
          for (const id of [0, one.streamId]) {
            const update = windowUpdate(id, one.payload.length);
            theirs.on({ type: TYPE.WINDOW_UPDATE, flags: 0, streamId: id, payload: update.subarray(9) });
            void say(update);
          }
        }
        if (one.type === TYPE.HEADERS && !endsStream(one)) {
          const update = windowUpdate(one.streamId, grant);
          theirs.of(one.streamId);
          theirs.on({ type: TYPE.WINDOW_UPDATE, flags: 0, streamId: one.streamId, payload: update.subarray(9) });
          void say(update);
        }
        wake();
      };

      const sending: { id: number; rest: Buffer; of: Upload; piece: number; ended: boolean }[] = [];
      for (const [i, { size, ...rest }] of uploads.entries()) {
        const body = Buffer.alloc(size, `stream ${i} `);
        const id = client.streamId();
        sending.push({ id, rest: body, of: { body, ...rest }, piece: 0, ended: false });
        await say(headers(id, requestBlock({ method: 'POST', path: `/${i}` }), { endStream: false }));
      }
      for (let turn = 0; sending.some(({ ended }) => !ended); turn++) {
        const open = sending.filter(({ ended }) => !ended);
        const one = open[(order[turn % order.length] as number) % open.length] as (typeof sending)[number];
        const extra = one.of.padding ? 8 : 0;
        const wanted = Math.min(one.of.pieces[one.piece++ % one.of.pieces.length] as number, one.rest.length);
        const size = Math.min(wanted, mine.of(one.id) - extra);
        if (wanted > 0 && size <= 0) {
          if (open.every(({ id, rest }) => rest.length > 0 && mine.of(id) <= 8)) {
            await new Promise<void>((resolve) => {
              wake = resolve;
              setTimeout(resolve, 5);
            });
          }
          continue;
        }
        const piece = one.rest.subarray(0, size);
        one.rest = one.rest.subarray(size);
        one.ended = one.rest.length === 0;
        const last = one.ended && !one.of.trailers ? FLAG.END_STREAM : 0;
        mine.sent(one.id, size + extra);
        await say(
          one.of.padding
            ? frame(TYPE.DATA, FLAG.PADDED | last, one.id, padded(piece, 7))
            : frame(TYPE.DATA, last, one.id, piece),
        );
        if (one.ended && one.of.trailers) await say(headers(one.id, encode([['x-trailer', 'yes']])));
      }
      for (const { id, of } of sending) {
        const answer = await client.message(id, 15_000);
        expect([answer.status, answer.reset]).toEqual([200, undefined]);
        expect(answer.body.equals(of.body)).toBe(true);
        expect(answer.trailers).toEqual([['x-end', 'yes']]);
      }
      expect([...ends.values()].every((count) => count === 1)).toBe(true);
      // What the app got ended once per stream too, with the trailers that were sent.
      for (const peer of app.peers) {
        const all = peer.frames.filter(endsStream).map(({ streamId }) => streamId);
        expect(new Set(all).size).toBe(all.length);
      }

      client.destroy();
      await quiet(proxy);
      await eventually('no stream is left', () => proxy.stat('cluster.app.http2.streams_active') === 0);
    }),
    { numRuns: 20, endOnFailure: true },
  );
}, 180_000);
