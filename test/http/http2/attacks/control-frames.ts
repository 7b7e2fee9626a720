import { describe, expect, test } from 'vitest';
import { frame, goAway, ping, priority, SETTING, settings, settingsAck } from '../../../support/http2/frames.ts';
import { Http2Peer } from '../../../support/http2/peer.ts';
import type { ProxyName } from '../../../support/proxy-process.ts';
import { sleep } from '../../../support/story.ts';
import { ENDLESS, flood, times, Victim } from './victim.ts';

const BATCH = 1000;

/** Frames that ask for an answer or for some bookkeeping, and are almost free to send. */
export function controlFrameAttacks(name: ProxyName): void {
  describe('control frames', { timeout: 60_000 }, () => {
    test.each([
      ['PING', ping()],
      ['SETTINGS', settings({ [SETTING.INITIAL_WINDOW_SIZE]: 65_535 })],
      ['empty SETTINGS', settings()],
    ])('answers to %s frames do not pile up for a client that never reads', async (_what, bytes) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port, { acknowledges: false });
        peer.stopReading();
        const deadline = Date.now() + 10_000;
        // Not taken: the proxy has stopped to read, which bounds it as well.
        while (!peer.closed && !(await stuck(peer.send(...times(BATCH, bytes)), victim))) {
          expect(Date.now(), 'still taken').toBeLessThan(deadline);
        }
        // Envoy's codec has a limit of its own for acknowledgements, which does not count.
        if (name === 'outrigger') await victim.counted('outbound_control_flood');
        peer.destroy();
      });
    });

    test.each([
      ['PING', ping()],
      ['SETTINGS', settings({ [SETTING.HEADER_TABLE_SIZE]: 100 })],
    ])('%s frames that are all answered and read do no harm', async (_what, bytes) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        for (let i = 0; i < 200; i++) {
          peer.write(...times(50, bytes));
          await peer.roundTrip();
        }
        expect((await peer.ask()).status).toBe(200);
        peer.destroy();
      });
    });

    test('a flood of PRIORITY frames ends the connection', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        await flood(peer, () => times(50, priority(2 * BATCH + 1)), ENDLESS / 50);
        await victim.ends(peer, 'ENHANCE_YOUR_CALM');
      });
      await victim.counted('inbound_priority_frames_flood');
    });

    test('frames of unknown types are ignored, however many', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        await flood(peer, () => times(10, frame(0xbb, 0xff, 0, Buffer.alloc(16_000, 'x'))), 500);
        expect((await peer.ask()).status).toBe(200);
        peer.destroy();
      });
    });

    test('acknowledgements that nobody asked for do no harm', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        await flood(peer, () => times(BATCH, ping('12345678', true)), 100);
        await flood(peer, () => times(BATCH, settingsAck()), 100);
        peer.destroy();
      });
    });

    test('a client that never acknowledges settings is served, and nothing waits for it', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peers = await Promise.all(
          Array.from({ length: 100 }, () => Http2Peer.connect(port, { acknowledges: false })),
        );
        for (const peer of peers) expect((await peer.ask()).status).toBe(200);
        for (const peer of peers) peer.destroy();
      });
    });

    test('a client that says goodbye again and again gets its answers, and costs nothing', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request({ path: '/held' });
        await peer.roundTrip();
        peer.write(...times(BATCH, goAway(0, 0, 'x'.repeat(1000))));
        while (victim.app.held.length === 0) await sleep(5);
        victim.app.release();
        expect((await peer.message(id)).body.toString()).toBe('released');
        peer.destroy();
      });
    });

    test('a connection that says nothing at all, or only its preface, is closed when its time is up', async () => {
      await using victim = await Victim.start(name, {
        manager: 'drain_timeout: 1s\ncommon_http_protocol_options: { idle_timeout: 1s }',
      });
      await victim.under(async (port) => {
        const silent = await Http2Peer.connect(port, { settings: null });
        const idle = await Http2Peer.connect(port);
        await idle.untilClosed(10_000);
        await silent.untilClosed(10_000);
        idle.destroy();
        silent.destroy();
      });
    });
  });
}

/** Whether a write is not taken although the proxy has had time. */
async function stuck(write: Promise<void>, victim: Victim): Promise<boolean> {
  // Others in this process get their turn.
  await new Promise((resolve) => setImmediate(resolve));
  for (let calm = 0, cpu = victim.proxy.cpuMs(); calm < 20; ) {
    const isDone = await Promise.race([write.then(() => true), sleep(50).then(() => false)]);
    if (isDone) return false;
    const now = victim.proxy.cpuMs();
    calm = now - cpu > 20 ? 0 : calm + 1;
    cpu = now;
  }
  return true;
}
