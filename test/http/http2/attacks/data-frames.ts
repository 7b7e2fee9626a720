import { describe, expect, test } from 'vitest';
import {
  DEFAULT_WINDOW,
  data,
  FLAG,
  frame,
  headers,
  padded,
  SETTING,
  settings,
  TYPE,
} from '../../../support/http2/frames.ts';
import { requestBlock } from '../../../support/http2/hpack.ts';
import { Http2Peer } from '../../../support/http2/peer.ts';
import type { ProxyName } from '../../../support/proxy-process.ts';
import { sleep } from '../../../support/story.ts';
import { ENDLESS, flood, times, Victim } from './victim.ts';

const MIB = 1024 * 1024;
const POST = { method: 'POST', path: '/wait' } as const;

/** Bodies that are none, are too much, or come too late. */
export function dataFrameAttacks(name: ProxyName): void {
  describe('DATA frames', { timeout: 60_000 }, () => {
    test.each([
      ['without anything', data(1)],
      ['of padding only', frame(TYPE.DATA, FLAG.PADDED, 1, padded(Buffer.alloc(0), 0))],
    ])('a flood of frames %s ends the connection', async (_what, empty) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        peer.request(POST, false);
        await flood(peer, () => times(10, empty), ENDLESS / 10);
        await victim.ends(peer, 'ENHANCE_YOUR_CALM');
      });
      await victim.counted('inbound_empty_frames_flood');
      expect(await victim.logged('/wait')).toMatch(/^0 DPE .*(empty_frames|codec_error)/);
    });

    test('data behind the end of a stream ends the stream or the connection, and reaches nobody', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request({ path: '/wait' });
        peer.write(data(id, 'more'));
        await peer.until(
          'an error',
          () =>
            peer.closed ||
            peer.ended ||
            peer.frames.some(({ type }) => type === TYPE.RST_STREAM || type === TYPE.GOAWAY),
        );
        peer.destroy();
      });
      await victim.proxy.stat('cluster.app.upstream_rq_active', (active) => active === 0);
    });

    test('a frame that is larger than allowed ends the connection before its bytes are kept', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request(POST, false);
        peer.write(frame(TYPE.DATA, 0, id, Buffer.alloc(100), 16 * MIB - 1));
        await victim.ends(peer, 'FRAME_SIZE_ERROR');
      });
    });

    test('more data than the window allows ends the stream or the connection', async () => {
      const windows = 'initial_stream_window_size: 65535, initial_connection_window_size: 65535';
      await using victim = await Victim.start(name, { manager: `http2_protocol_options: { ${windows} }` });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request(POST, false);
        await flood(peer, () => times(8, data(id, 'x'.repeat(16_000))), 2000);
        await victim.ends(peer, 'FLOW_CONTROL_ERROR');
      });
    });

    test('uploads to an app that does not read are held by the windows, not by memory', async () => {
      const limit = 'per_connection_buffer_limit_bytes: 65536';
      const windows = 'initial_stream_window_size: 65535, initial_connection_window_size: 1048576';
      await using victim = await Victim.start(name, {
        manager: `http2_protocol_options: { ${windows} }`,
        listener: limit,
        cluster: limit,
      });
      await victim.under(async (port) => {
        const peers = await Promise.all(Array.from({ length: 8 }, () => Http2Peer.connect(port)));
        const uploads = peers.map((peer) => new Upload(peer));
        let before = -1;
        const sent = (): number => uploads.reduce((sum, upload) => sum + upload.sent, 0);
        for (let rounds = 0; rounds < 40 && sent() > before; rounds++) {
          before = sent();
          await sleep(500);
        }
        expect(sent()).toBe(before);
        // What eight pairs of sockets may hold on the way to the app.
        expect(sent()).toBeLessThan(8 * 16 * MIB);
        for (const peer of peers) peer.destroy();
      });
    });

    test('a body longer or shorter than its content-length is an error of its stream alone', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        for (const body of ['too long', 'x', '']) {
          const id = peer.streamId();
          const block = requestBlock({ ...POST, more: [['content-length', '5']] });
          peer.write(headers(id, block, { endStream: false }), data(id, body, true));
          const isOver = (): boolean => peer.closed || peer.ended || peer.soFar(id).reset !== undefined;
          if (name === 'envoy') {
            // Envoy ends the connection.
            await peer.until('an error', isOver);
            return peer.destroy();
          }
          expect((await peer.message(id)).reset).toBeDefined();
        }
        expect((await peer.ask()).status).toBe(200);
        peer.destroy();
      });
    });

    test('settings that change the window up and down under many streams cost little', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        for (let i = 0; i < 80; i++) peer.request({ path: '/wait' });
        await peer.roundTrip();
        const toggle = [0, 1, 65_535].map((size) => settings({ [SETTING.INITIAL_WINDOW_SIZE]: size }));
        for (let i = 0; i < 50; i++) {
          peer.write(...times(20, Buffer.concat(toggle)));
          await peer.roundTrip();
        }
        peer.destroy();
      });
    });
  });
}

/** A body without end that keeps to the windows. */
class Upload {
  sent = 0;
  private readonly peer: Http2Peer;
  private readonly id: number;
  private connectionWindow = DEFAULT_WINDOW;
  private streamWindow = DEFAULT_WINDOW;

  constructor(peer: Http2Peer) {
    this.peer = peer;
    this.id = peer.request({ method: 'POST', path: '/unread' }, false);
    peer.onFrame = (update) => {
      if (update.type !== TYPE.WINDOW_UPDATE) return;
      const increment = update.payload.readUInt32BE();
      if (update.streamId === 0) this.connectionWindow += increment;
      else this.streamWindow += increment;
      this.send();
    };
    this.send();
  }

  private send(): void {
    for (;;) {
      const size = Math.min(this.connectionWindow, this.streamWindow, 16_384);
      if (size <= 0) return;
      this.connectionWindow -= size;
      this.streamWindow -= size;
      this.sent += size;
      this.peer.write(data(this.id, Buffer.alloc(size, 'x')));
    }
  }
}
