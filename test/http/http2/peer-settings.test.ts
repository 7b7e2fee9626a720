import { expect, test } from 'vitest';
import { PeerSettings } from '../../../src/http/http2/peer-settings.ts';
import { CODE, SETTING } from '../../support/http2/frames.ts';

/** Applies pairs of identifier and value, in their order. */
function apply(peer: PeerSettings, ...pairs: readonly (readonly [id: number, value: number])[]) {
  // Not at the start of the buffer, as behind a frame's header.
  const bytes = Buffer.alloc(9 + 6 * pairs.length);
  pairs.forEach(([id, value], i) => {
    bytes.writeUInt16BE(id, 9 + 6 * i);
    bytes.writeUInt32BE(value, 9 + 6 * i + 2);
  });
  return peer.apply(bytes, 9, bytes.length);
}

test('before the first frame the initial values hold, and nothing is known', () => {
  const peer = new PeerSettings();
  expect(peer).toMatchObject({ isKnown: false, streamWindowBytes: 65_535, allowsConnect: false });
  expect(peer.maxStreams).toBe(Number.POSITIVE_INFINITY);
  expect(apply(peer)).toBeUndefined();
  expect(peer.isKnown).toBe(true);
});

test('values hold in their order, and stay until another frame changes them', () => {
  const peer = new PeerSettings();
  apply(peer, [SETTING.MAX_CONCURRENT_STREAMS, 5], [SETTING.MAX_CONCURRENT_STREAMS, 7]);
  apply(peer, [SETTING.INITIAL_WINDOW_SIZE, 0x7fff_ffff]);
  expect(peer).toMatchObject({ maxStreams: 7, streamWindowBytes: 0x7fff_ffff });
});

test('all sizes of the header table that a frame goes through are told: the smallest one counts', () => {
  const peer = new PeerSettings();
  apply(peer, [SETTING.HEADER_TABLE_SIZE, 0], [SETTING.HEADER_TABLE_SIZE, 4096]);
  expect(peer.tableSizes).toEqual([0, 4096]);
  apply(peer, [SETTING.MAX_CONCURRENT_STREAMS, 1]);
  expect(peer.tableSizes).toEqual([]);
});

test.each([
  ['a window beyond 2^31-1', [SETTING.INITIAL_WINDOW_SIZE, 0x8000_0000], CODE.FLOW_CONTROL_ERROR],
  ['ENABLE_PUSH of 2', [SETTING.ENABLE_PUSH, 2], CODE.PROTOCOL_ERROR],
  ['a frame size below 2^14', [SETTING.MAX_FRAME_SIZE, 16_383], CODE.PROTOCOL_ERROR],
  ['a frame size beyond 2^24-1', [SETTING.MAX_FRAME_SIZE, 16_777_216], CODE.PROTOCOL_ERROR],
  ['ENABLE_CONNECT_PROTOCOL of 2', [SETTING.ENABLE_CONNECT_PROTOCOL, 2], CODE.PROTOCOL_ERROR],
] as const)('%s is an error', (_what, pair, code) => {
  expect(apply(new PeerSettings(), pair)?.code).toBe(code);
});

test.each([
  ['the smallest frame size', [SETTING.MAX_FRAME_SIZE, 16_384]],
  ['the largest frame size', [SETTING.MAX_FRAME_SIZE, 16_777_215]],
  ['the largest window', [SETTING.INITIAL_WINDOW_SIZE, 0x7fff_ffff]],
  ['no streams', [SETTING.MAX_CONCURRENT_STREAMS, 0]],
  ['a setting that nobody knows', [0xfafa, 0xffff_ffff]],
] as const)('%s is fine', (_what, pair) => {
  expect(apply(new PeerSettings(), pair)).toBeUndefined();
});

test('extended CONNECT cannot be taken back', () => {
  const peer = new PeerSettings();
  expect(apply(peer, [SETTING.ENABLE_CONNECT_PROTOCOL, 0])).toBeUndefined();
  expect(apply(peer, [SETTING.ENABLE_CONNECT_PROTOCOL, 1])).toBeUndefined();
  expect(peer.allowsConnect).toBe(true);
  expect(apply(peer, [SETTING.ENABLE_CONNECT_PROTOCOL, 0])?.code).toBe(CODE.PROTOCOL_ERROR);
});

test('a server may not ask for pushes', () => {
  const peer = new PeerSettings();
  peer.maxEnablePush = 0;
  expect(apply(peer, [SETTING.ENABLE_PUSH, 0])).toBeUndefined();
  expect(apply(peer, [SETTING.ENABLE_PUSH, 1])?.code).toBe(CODE.PROTOCOL_ERROR);
});
