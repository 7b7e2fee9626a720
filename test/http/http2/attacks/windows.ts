import { describe, expect, test } from 'vitest';
import { CODE, MAX_WINDOW, SETTING, settings, TYPE, windowUpdate } from '../../../support/http2/frames.ts';
import { Http2Peer } from '../../../support/http2/peer.ts';
import type { ProxyName } from '../../../support/proxy-process.ts';
import { sleep } from '../../../support/story.ts';
import { ENDLESS, flood, outcomeOf, times, Victim } from './victim.ts';

const MIB = 1024 * 1024;
const BIG = 100 * MIB;
/** With small buffers Envoy holds as little as it can: the same for both. */
const SMALL_BUFFERS = 'per_connection_buffer_limit_bytes: 65536';
const ENVOY_TAKES_IT = 'Envoy takes up to 16 MiB for each stream here';
const NEVER_OPENS = { opensWindows: false } as const;

/** Windows that are opened too far, not at all, or one byte at a time. */
export function windowAttacks(name: ProxyName): void {
  describe('windows', { timeout: 60_000 }, () => {
    test.each([
      ['of zero bytes', 0, 'PROTOCOL_ERROR'],
      ['beyond 2^31-1', MAX_WINDOW, 'FLOW_CONTROL_ERROR'],
    ] as const)('an increment %s of the connection ends it', async (_what, increment, code) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        peer.write(windowUpdate(0, increment));
        await victim.ends(peer, code);
      });
    });

    test.each([
      ['of zero bytes', 0, CODE.PROTOCOL_ERROR],
      ['beyond 2^31-1', MAX_WINDOW, CODE.FLOW_CONTROL_ERROR],
    ] as const)('an increment %s of a stream ends the stream', async (_what, increment, code) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request({ path: '/wait' });
        peer.write(windowUpdate(id, increment));
        // Envoy ends the connection with it.
        if (name === 'envoy') await peer.untilClosed();
        else {
          expect((await peer.message(id)).reset).toBe(code);
          expect((await peer.ask()).status).toBe(200);
        }
        peer.destroy();
      });
    });

    test('settings that make a window overflow end what they concern', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request({ path: '/wait' });
        peer.write(windowUpdate(id, 1000), settings({ [SETTING.INITIAL_WINDOW_SIZE]: MAX_WINDOW }));
        const isOver = (): boolean => peer.ended || peer.closed || peer.soFar(id).reset !== undefined;
        await peer.until('an error', isOver);
        const codes = [outcomeOf(peer).goAway, peer.soFar(id).reset];
        expect(codes[0] === 'FLOW_CONTROL_ERROR' || codes[1] === CODE.FLOW_CONTROL_ERROR).toBe(true);
        peer.destroy();
      });
    });

    test.each(['connection', 'stream'])('a flood of increments of the %s ends the connection', async (of) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request({ path: '/wait' });
        const update = windowUpdate(of === 'stream' ? id : 0, 1);
        await flood(peer, () => times(50, update), ENDLESS / 50);
        await victim.ends(peer, 'ENHANCE_YOUR_CALM');
      });
      await victim.counted('inbound_window_update_frames_flood');
    });

    test('big responses for a client that never opens its windows stay in the app', async (context) => {
      if (name === 'envoy') return context.skip(ENVOY_TAKES_IT);
      await using victim = await Victim.start(name, { listener: SMALL_BUFFERS, cluster: SMALL_BUFFERS });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port, {
          ...NEVER_OPENS,
          settings: { [SETTING.INITIAL_WINDOW_SIZE]: 0 },
        });
        const ids = Array.from({ length: 90 }, () => peer.request({ path: `/big/${BIG}` }));
        for (const id of ids)
          await peer.frame('a head', (frame) => frame.type === TYPE.HEADERS && frame.streamId === id);
        await settled(victim);
        expect(peer.frames.some(({ type }) => type === TYPE.DATA)).toBe(false);
        peer.destroy();
      });
      await victim.proxy.stat('cluster.app.upstream_rq_active', (active) => active === 0);
    });

    test('big responses for a client that opens its windows and never reads stay in the app', async (context) => {
      if (name === 'envoy') return context.skip(ENVOY_TAKES_IT);
      await using victim = await Victim.start(name, { listener: SMALL_BUFFERS, cluster: SMALL_BUFFERS });
      await victim.under(async (port) => {
        const open = { settings: { [SETTING.INITIAL_WINDOW_SIZE]: MAX_WINDOW } };
        const peer = await Http2Peer.connect(port, open);
        peer.write(windowUpdate(0, MAX_WINDOW - 65_535));
        for (let i = 0; i < 90; i++) peer.request({ path: `/big/${BIG}` });
        peer.stopReading();
        await settled(victim);
        peer.destroy();
      });
      await victim.proxy.stat('cluster.app.upstream_rq_active', (active) => active === 0);
    });

    test('a client that opens its window byte by byte gets its response, and no memory', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port, { ...NEVER_OPENS, settings: { [SETTING.INITIAL_WINDOW_SIZE]: 1 } });
        const id = peer.request({ path: '/big/300' });
        let got = 0;
        peer.onFrame = (frame) => {
          if (frame.type !== TYPE.DATA) return;
          got += frame.payload.length;
          if (got < 300) peer.write(windowUpdate(id, 1));
        };
        const { body } = await peer.message(id, 10_000);
        expect(body.length).toBe(300);
        peer.destroy();
      });
    });

    test('a response that waits for its window is given up when the stream’s time is up', async () => {
      await using victim = await Victim.start(name, {
        manager: 'stream_idle_timeout: 1s',
        listener: SMALL_BUFFERS,
        cluster: SMALL_BUFFERS,
      });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port, { ...NEVER_OPENS, settings: { [SETTING.INITIAL_WINDOW_SIZE]: 0 } });
        const small = peer.request({ path: '/big/1000' });
        const big = peer.request({ path: `/big/${BIG}` });
        for (const id of [small, big]) expect((await peer.message(id, 10_000)).reset).toBeDefined();
        await peer.roundTrip();
        peer.destroy();
      });
      // The app had answered the small one in full: only the codec held it.
      await victim.counted('tx_flush_timeout');
      await victim.proxy.stat('cluster.app.upstream_rq_active', (active) => active === 0);
    });

    test('windows that shrink below zero are worked off before anything is sent', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port, {
          ...NEVER_OPENS,
          settings: { [SETTING.INITIAL_WINDOW_SIZE]: 1000 },
        });
        const id = peer.request({ path: '/big/3000' });
        const bytes = (): number => peer.soFar(id).body.length;
        await peer.until('the first window is used up', () => bytes() === 1000);
        peer.write(settings({ [SETTING.INITIAL_WINDOW_SIZE]: 0 }), windowUpdate(id, 1000));
        await peer.roundTrip();
        expect(bytes()).toBe(1000);
        peer.write(windowUpdate(id, 500));
        await peer.until('500 bytes more', () => bytes() === 1500);
        peer.write(windowUpdate(id, 1500));
        expect((await peer.message(id)).body.length).toBe(3000);
        peer.destroy();
      });
    });
  });
}

/** Waits until the proxy has taken nothing of the responses for a second. */
async function settled(victim: Victim): Promise<void> {
  let before = -1;
  for (let calm = 0; calm < 10; before = victim.app.bytesTaken) {
    await sleep(100);
    calm = victim.app.bytesTaken === before ? calm + 1 : 0;
  }
}
