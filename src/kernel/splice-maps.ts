import { closeSync } from 'node:fs';
import { ATTACH_TYPE, attachProgram, createMap, loadProgram, MAP_FLAG, MAP_TYPE, PROGRAM_TYPE } from './bpf.ts';
import { DIRECTION, type VerdictMaps, verdictProgram } from './verdict-program.ts';

/** Sessions of one set of maps; a thread makes another set when one is full. Two slots and two notices each fit. */
export const SESSIONS_PER_SET = 2048;
const SLOTS = 2 * SESSIONS_PER_SET;
/** A direction has at most one notice under way, 16 bytes with its head. */
export const NOTICE_RING_BYTES = SLOTS * 16;

/**
 * Makes a set of maps and loads the program that works on them. They live as long as somebody has their descriptors
 * open: nothing is pinned, so nothing stays behind a process that ends, however it ends.
 *
 * @throws BpfError
 */
export function createSpliceMaps(): VerdictMaps {
  const made: number[] = [];
  const make = (...definition: Parameters<typeof createMap>): number => {
    const fd = createMap(...definition);
    made.push(fd);
    return fd;
  };
  try {
    const maps: VerdictMaps = {
      slots: make({
        name: 'splice_slots',
        type: MAP_TYPE.HASH,
        keyBytes: 8,
        valueBytes: 4,
        maxEntries: SLOTS,
        flags: MAP_FLAG.NO_PREALLOC,
      }),
      sockets: make({
        name: 'splice_sockets',
        type: MAP_TYPE.SOCKMAP,
        keyBytes: 4,
        valueBytes: 4,
        maxEntries: SLOTS,
      }),
      directions: make({
        name: 'splice_dirs',
        type: MAP_TYPE.ARRAY,
        keyBytes: 4,
        valueBytes: DIRECTION.size,
        maxEntries: SLOTS,
        flags: MAP_FLAG.MMAPABLE,
      }),
      notices: make({
        name: 'splice_notices',
        type: MAP_TYPE.RINGBUF,
        keyBytes: 0,
        valueBytes: 0,
        maxEntries: NOTICE_RING_BYTES,
      }),
    };
    const program = loadProgram({
      name: 'splice_verdict',
      type: PROGRAM_TYPE.SK_SKB,
      attachType: ATTACH_TYPE.SK_SKB_VERDICT,
      instructions: verdictProgram(maps),
    });
    // The map of sockets holds the program from here on.
    try {
      attachProgram(program, maps.sockets, ATTACH_TYPE.SK_SKB_VERDICT);
    } finally {
      closeSync(program);
    }
    return maps;
  } catch (error) {
    for (const fd of made) closeSync(fd);
    throw error;
  }
}
