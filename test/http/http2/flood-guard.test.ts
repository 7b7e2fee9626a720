import { describe, expect, test } from 'vitest';
import { FloodGuard, TOO_MANY_RESETS } from '../../../src/http/http2/flood-guard.ts';
import type { Http2Options } from '../../../src/http/http2/options.ts';
import { Http2Stats } from '../../../src/http/http2/stats.ts';
import { StatsStore } from '../../../src/observe/stats.ts';

const LIMITS = {
  maxConsecutiveEmptyFrames: 2,
  maxPriorityFramesPerStream: 3,
  maxWindowUpdatesPerDataFrame: 4,
  maxOutboundFrames: 100,
  maxOutboundControlFrames: 10,
};

function guard() {
  const store = new StatsStore();
  const floods = new FloodGuard(LIMITS as Http2Options, new Http2Stats(store.scope('http2')));
  const counted = (): string[] => [...store.counters].filter(([, { value }]) => value > 0).map(([name]) => name);
  return { floods, counted };
}

/** How often something is fine before it is a flood. */
function fineTimes(check: () => string): number {
  for (let i = 0; i < 100_000; i++) if (check() !== '') return i;
  return Number.POSITIVE_INFINITY;
}

describe('frames that cost the peer nothing', () => {
  test('empty frames in a row are limited; one with a payload begins anew', () => {
    const { floods, counted } = guard();
    for (let i = 0; i < 10; i++) {
      expect([floods.emptyFrame(), floods.emptyFrame()]).toEqual(['', '']);
      floods.frameWithPayload();
    }
    expect(counted()).toEqual([]);
    expect(fineTimes(() => floods.emptyFrame())).toBe(2);
    expect(counted()).toEqual(['http2.inbound_empty_frames_flood']);
  });

  test('priorities are limited by the streams there were', () => {
    const { floods, counted } = guard();
    expect(fineTimes(() => floods.priorityFrame())).toBe(3);
    const other = guard().floods;
    for (let i = 0; i < 9; i++) other.streamOpened();
    expect(fineTimes(() => other.priorityFrame())).toBe(3 * 10);
    expect(counted()).toEqual(['http2.inbound_priority_frames_flood']);
  });

  test('window updates are limited by the streams and the data that they can be about', () => {
    const { floods, counted } = guard();
    expect(fineTimes(() => floods.windowUpdate())).toBe(5);
    const other = guard().floods;
    for (let i = 0; i < 7; i++) other.streamOpened();
    for (let i = 0; i < 11; i++) other.dataSent();
    expect(fineTimes(() => other.windowUpdate())).toBe(5 + 2 * (7 + 4 * 11));
    expect(counted()).toEqual(['http2.inbound_window_update_frames_flood']);
  });
});

test('a peer that takes nothing may have so many frames waiting, and fewer of those that answer its own', () => {
  const { floods, counted } = guard();
  expect([floods.outbound(100, 10), floods.outbound(0, 0)]).toEqual(['', '']);
  expect(floods.outbound(101, 0)).toBe('http2.outbound_frames_flood');
  expect(floods.outbound(11, 11)).toBe('http2.outbound_control_frames_flood');
  expect(counted().sort()).toEqual(['http2.outbound_control_flood', 'http2.outbound_flood']);
});

describe('streams that the peer gives up', () => {
  test('are an attack when they are many, and most of all', () => {
    expect(fineTimes(() => guard().floods.streamClosed(false))).toBe(Number.POSITIVE_INFINITY);
    const { floods } = guard();
    expect(fineTimes(() => floods.streamClosed(true))).toBe(499);
    expect(floods.streamClosed(true)).toBe(TOO_MANY_RESETS);
  });

  test('are none as long as as many are served', () => {
    const { floods } = guard();
    const both = (): string => floods.streamClosed(false) || floods.streamClosed(true);
    expect(fineTimes(both)).toBe(Number.POSITIVE_INFINITY);
  });
});
