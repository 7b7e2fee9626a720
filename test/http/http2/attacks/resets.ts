import { describe, expect, test } from 'vitest';
import { CODE, data, headers, priority, rstStream, windowUpdate } from '../../../support/http2/frames.ts';
import { requestBlock } from '../../../support/http2/hpack.ts';
import { Http2Peer } from '../../../support/http2/peer.ts';
import type { ProxyName } from '../../../support/proxy-process.ts';
import { ENDLESS, flood, times, Victim } from './victim.ts';

const WAIT = requestBlock({ path: '/wait' });
const ROOM =
  'circuit_breakers: { thresholds: [{ max_connections: 5000, max_requests: 5000, max_pending_requests: 5000 }] }';

/** Streams that are opened to be thrown away, by whoever resets them, and streams that are never given up. */
export function resetAttacks(name: ProxyName): void {
  describe('streams thrown away', { timeout: 60_000 }, () => {
    test('rapid reset: requests that their client resets at once end the connection (CVE-2023-44487)', async () => {
      await using victim = await Victim.start(name, { cluster: ROOM });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const openAndReset = (): Buffer[] =>
          Array.from({ length: 50 }, () => peer.streamId()).flatMap((id) => [headers(id, WAIT), rstStream(id)]);
        await flood(peer, openAndReset, ENDLESS / 100);
        await victim.ends(peer, 'ENHANCE_YOUR_CALM');
      });
      expect(await victim.counted('rx_reset')).toBeLessThan(5000);
      await victim.counted('downstream_rq_too_many_premature_resets', 'http.test');
      expect(await victim.logged('/wait')).toMatch(/^0 (DC|DR|DPE) /);
      await victim.proxy.stat('cluster.app.upstream_rq_active', (active) => active === 0);
    });

    test('a client that gives a request up now and then is no attacker', async () => {
      await using victim = await Victim.start(name, { cluster: ROOM });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        for (let i = 0; i < 1500; i++) {
          const id = peer.streamId();
          if (i % 3 === 0) peer.write(headers(id, WAIT), rstStream(id));
          else {
            peer.write(headers(id, requestBlock()));
            expect((await peer.message(id)).status).toBe(200);
          }
        }
        await peer.roundTrip();
        peer.destroy();
      });
    });

    test.each([
      ['zero window increments', (id: number) => [windowUpdate(id, 0)]],
      ['window overflows', (id: number) => [windowUpdate(id, 0x7fff_ffff)]],
      ['streams that depend on themselves', (id: number) => [priority(id, id)]],
      ['data behind the end of the stream', (id: number) => [data(id, 'x')]],
      ['a frame of a wrong size', (id: number) => [priority(id).fill(4, 2, 3).subarray(0, 13)]],
    ])('resets that the client provokes by %s are limited too (CVE-2025-8671)', async (_what, fault) => {
      await using victim = await Victim.start(name, { cluster: ROOM });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const openAndBreak = (): Buffer[] =>
          Array.from({ length: 20 }, () => peer.streamId()).flatMap((id) => [headers(id, WAIT), ...fault(id)]);
        await flood(peer, openAndBreak, ENDLESS / 20);
        await peer.untilClosed(15_000);
        peer.destroy();
      });
      await victim.proxy.stat('cluster.app.upstream_rq_active', (active) => active === 0);
    });

    test('resets of a stream that is long closed are limited', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request();
        await peer.message(id);
        // Ignored (RFC 9113 section 5.1) or ended: either is bounded.
        await flood(peer, () => times(1000, rstStream(id)), ENDLESS / 1000);
        peer.destroy();
      });
    });

    test('more streams than are allowed are refused; those that are open stay, and others get their turn', async (context) => {
      if (name === 'envoy') return context.skip('Envoy ends the connection, RFC 9113 section 5.1.2 the stream only');
      const manager = 'http2_protocol_options: { max_concurrent_streams: 50 }';
      await using victim = await Victim.start(name, { cluster: ROOM, manager });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const held = Array.from({ length: 50 }, () => peer.request({ path: '/held' }));
        await peer.roundTrip();
        const refused = await peer.message(peer.request());
        expect(refused.reset).toBe(CODE.REFUSED_STREAM);
        while (victim.app.held.length < 50) await peer.roundTrip();
        victim.app.release();
        for (const id of held) expect((await peer.message(id)).body.toString()).toBe('released');
        expect((await peer.ask()).status).toBe(200);
        peer.destroy();
      });
    });

    test('a client that goes on opening streams that are refused gets no memory', async () => {
      const manager = 'http2_protocol_options: { max_concurrent_streams: 10 }';
      await using victim = await Victim.start(name, { cluster: ROOM, manager });
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        for (let i = 0; i < 10; i++) peer.request({ path: '/wait' });
        const open = (): Buffer[] => Array.from({ length: 50 }, () => headers(peer.streamId(), WAIT));
        await flood(peer, open, 500);
        if (name === 'outrigger') await victim.ends(peer, 'ENHANCE_YOUR_CALM');
        peer.destroy();
      });
      expect(victim.app.waiting).toBeLessThanOrEqual(10);
      await victim.proxy.stat('cluster.app.upstream_rq_active', (active) => active === 0);
    });
  });
}
