import { describe, expect, test } from 'vitest';
import { continuation, data, headers, ping } from '../../../support/http2/frames.ts';
import { indexed, literal, requestBlock, tableSize } from '../../../support/http2/hpack.ts';
import { Http2Peer } from '../../../support/http2/peer.ts';
import type { ProxyName } from '../../../support/proxy-process.ts';
import { ENDLESS, flood, outcomeOf, times, Victim } from './victim.ts';

const EMPTY = Buffer.alloc(0);
/** Names differ, so that nobody can join them. */
const fields = (count: number, valueBytes: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => literal(`x-${i}`, 'v'.repeat(valueBytes))));
/** Header blocks are told apart from the peer's own acknowledgements, which may not come in between. */
const SILENT = { acknowledges: false } as const;

/** Opens a request's header block and leaves it open. */
async function openBlock(port: number): Promise<{ peer: Http2Peer; id: number }> {
  const peer = await Http2Peer.connect(port, SILENT);
  const id = peer.streamId();
  peer.write(headers(id, requestBlock({ path: '/block' }), { endHeaders: false }));
  return { peer, id };
}

/** Header blocks without end, and ones that are larger than they look. */
export function headerBlockAttacks(name: ProxyName): void {
  describe('header blocks', { timeout: 60_000 }, () => {
    test.each([
      ['many fields', fields(50, 20)],
      ['long fields', literal('x-long', 'v'.repeat(16_000))],
      ['one field that the table repeats', literal('x-same', 'v'.repeat(100), 'indexed')],
    ])('a flood of CONTINUATION frames with %s ends the connection (CVE-2024-27316)', async (_what, block) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const { peer, id } = await openBlock(port);
        await flood(peer, () => [continuation(id, block, false)], ENDLESS);
        await peer.untilClosed(15_000);
        if (name === 'outrigger') expect(['ENHANCE_YOUR_CALM', 'PROTOCOL_ERROR']).toContain(outcomeOf(peer).goAway);
        peer.destroy();
      });
    });

    test('a flood of empty CONTINUATION frames ends the connection', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const { peer, id } = await openBlock(port);
        await flood(peer, () => times(10, continuation(id, EMPTY, false)), ENDLESS / 10);
        await victim.ends(peer, 'ENHANCE_YOUR_CALM');
      });
      await victim.counted('inbound_empty_frames_flood');
    });

    test('header blocks that are never finished hold little memory, and their time is up', async () => {
      await using victim = await Victim.start(name, { manager: 'request_headers_timeout: 1s' });
      await victim.under(async (port) => {
        const peers = await Promise.all(
          Array.from({ length: 200 }, async () => {
            const { peer, id } = await openBlock(port);
            peer.write(continuation(id, literal('x-long', 'v'.repeat(16_000)), false));
            return peer;
          }),
        );
        await Promise.all(peers.map((peer) => peer.untilClosed(15_000)));
        for (const peer of peers) peer.destroy();
      });
    });

    test('a frame in the middle of a header block ends the connection', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const { peer } = await openBlock(port);
        peer.write(ping());
        await victim.ends(peer, 'PROTOCOL_ERROR');
      });
    });

    test.each([
      ['a small block that the table makes large', 10_000],
      ['a block that is just too large', 16],
    ])('an HPACK bomb, %s, is refused, and no one else suffers', async (_what, repetitions) => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        for (let i = 0; i < 20; i++) {
          const bomb = literal('x-bomb', 'b'.repeat(3900), 'indexed');
          const block = [requestBlock({ path: '/bomb' }), bomb, Buffer.alloc(repetitions, indexed(62))];
          const id = peer.streamId();
          peer.write(headers(id, Buffer.concat(block)));
          const { status, reset } = await peer.message(id);
          // Answered with 431, or reset: the connection's tables are in step either way.
          expect(status === 431 || (status === 0 && reset !== undefined)).toBe(true);
        }
        expect((await peer.ask()).status).toBe(200);
        peer.destroy();
      });
      expect(victim.app.requests).toBeGreaterThan(0);
    });

    test('a block with more fields than are allowed is refused', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.streamId();
        peer.write(headers(id, Buffer.concat([requestBlock(), fields(200, 1)])));
        const { status, reset } = await peer.message(id);
        expect(status === 431 || (status === 0 && reset !== undefined)).toBe(true);
        expect((await peer.ask()).status).toBe(200);
        peer.destroy();
      });
      await victim.counted('header_overflow');
    });

    test('an integer that never ends is a compression error', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        peer.write(headers(peer.streamId(), Buffer.concat([Buffer.from([0xff]), Buffer.alloc(5000, 0xff)])));
        await victim.ends(peer, 'COMPRESSION_ERROR');
      });
    });

    test('a block of table size updates is a compression error, or costs nothing', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const updates = Buffer.concat(Array.from({ length: 4000 }, (_, i) => tableSize((i % 2) * 4096)));
        const open = (): Buffer[] => [headers(peer.streamId(), Buffer.concat([updates, requestBlock()]))];
        await flood(peer, open, 500);
        peer.destroy();
      });
    });

    test('trailers have the limits of headers', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const id = peer.request({ method: 'POST', path: '/trailers' }, false);
        peer.write(data(id, 'x'), headers(id, fields(150, 1)));
        const { status, reset } = await peer.message(id);
        expect(status === 431 || (status === 0 && reset !== undefined)).toBe(true);
        expect((await peer.ask()).status).toBe(200);
        peer.destroy();
      });
      await victim.counted('header_overflow');
    });

    test('trailers without end end the connection', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port, SILENT);
        const id = peer.request({ method: 'POST', path: '/wait' }, false);
        peer.write(headers(id, fields(1, 10), { endHeaders: false }));
        const block = literal('x-long', 'v'.repeat(16_000));
        await flood(peer, () => [continuation(id, block, false)], ENDLESS);
        await peer.untilClosed(15_000);
        peer.destroy();
      });
    });

    test('empty header blocks are requests without what a request must have', async () => {
      await using victim = await Victim.start(name);
      await victim.under(async (port) => {
        const peer = await Http2Peer.connect(port);
        const open = (): Buffer[] => [headers(peer.streamId(), EMPTY, { endStream: false })];
        await flood(peer, open, ENDLESS / 10);
        await peer.untilClosed(15_000);
        peer.destroy();
      });
      await victim.counted('rx_messaging_error');
    });
  });
}
