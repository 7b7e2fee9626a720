import { Assembler } from './assembler.ts';

/**
 * What program and proxy know of one direction of a spliced session: an element of the map `directions`, by the slot of
 * the socket that the bytes come from. The session's other socket has the neighbouring slot, `slot ^ 1`. Offsets in bytes.
 * Numbers of 32 bits wrap; they are compared by their difference.
 */
export const DIRECTION = {
  /** u64: bytes that the program has sent on. */
  redirectedBytes: 0,
  /** u64: CLOCK_MONOTONIC in ns when the last bytes came. */
  lastBytesNs: 8,
  /** u32: packets that the program has sent on. */
  redirectedPackets: 16,
  /** u32: bytes that the program has left to the proxy. */
  passedBytes: 20,
  /** u32, the proxy's: how many of those it has read and written on. */
  takenBytes: 24,
  /** u32, the proxy's: up to which `redirectedBytes` the program may send on. */
  limitBytes: 28,
  /** u32, the proxy's: the same for `redirectedPackets`. */
  limitPackets: 32,
  /** u32: 1 from a notice of the program until the proxy has looked. */
  noticed: 36,
  /** u32, the proxy's: with fewer bytes left than that the program gives notice. */
  lowBytes: 40,
  /** u32, the proxy's: the same for packets. */
  lowPackets: 44,
  size: 64,
} as const;

/** A notice in the ring buffer: the slot of a direction to look at, u64. */
export const NOTICE_BYTES = 8;

/** Descriptors of the maps that the program uses. */
export interface VerdictMaps {
  /** hash: socket cookie (u64) → slot (u32) */
  readonly slots: number;
  /** sockmap: slot → socket */
  readonly sockets: number;
  /** array: slot → direction */
  readonly directions: number;
  /** ring buffer of notices */
  readonly notices: number;
}

/** Helpers of the kernel, by their numbers in linux/bpf.h. */
const HELPER = { mapLookup: 1, ktimeGetNs: 5, getSocketCookie: 46, redirectMap: 52, ringbufOutput: 130 } as const;
const SK_DROP = 0;
const SK_PASS = 1;
/** Of `struct __sk_buff`. */
const SKB_LENGTH = 0;

const COOKIE = -8;
const SLOT = -16;

/**
 * The program that decides over every packet of a spliced socket: on to the other socket, or to the proxy.
 *
 * It sends on while the proxy has written on all that the program left to it, so bytes never overtake one another, and
 * while the limits that the proxy sets leave room. What waits to be sent in the kernel belongs to no socket's buffer;
 * without limits a slow reader would fill the machine's memory.
 *
 * An empty packet is a FIN by itself, and is dropped: the socket knows of it already. Passed on behind packets that wait
 * in the kernel, it would be taken for an error and break the socket (`sk_psock_backlog`, seen with Linux 6.18).
 */
export function verdictProgram(maps: VerdictMaps): Buffer<ArrayBuffer> {
  const packet = 6;
  const length = 7;
  const slot = 8;
  const direction = 9;
  return (
    new Assembler()
      .copy(packet, 1)
      .load('u32', length, packet, SKB_LENGTH)
      .jumpIf(length, '==', 0, 'nothing')

      // Which socket is it? One that is not known belongs to the proxy.
      .call(HELPER.getSocketCookie)
      .store('u64', 10, COOKIE, 0)
      .loadMap(1, maps.slots)
      .copy(2, 10)
      .compute(2, 'add', COOKIE)
      .call(HELPER.mapLookup)
      .jumpIf(0, '==', 0, 'to the proxy')
      .load('u32', slot, 0, 0)
      .store('u64', 10, SLOT, slot)
      .loadMap(1, maps.directions)
      .copy(2, 10)
      .compute(2, 'add', SLOT)
      .call(HELPER.mapLookup)
      .jumpIf(0, '==', 0, 'to the proxy')
      .copy(direction, 0)
      .call(HELPER.ktimeGetNs)
      .store('u64', direction, DIRECTION.lastBytesNs, 0)

      // Bytes that went to the proxy and are not written yet go first.
      .load('u32', 1, direction, DIRECTION.passedBytes)
      .load('u32', 2, direction, DIRECTION.takenBytes)
      .jumpIf32(1, '!=', 2, 'behind the proxy’s')

      // r3, r4: room in bytes and packets, as signed differences of 32 bits.
      .load('u64', 2, direction, DIRECTION.redirectedBytes)
      .load('u32', 5, direction, DIRECTION.redirectedPackets)
      .load('u32', 3, direction, DIRECTION.limitBytes)
      .load('u32', 4, direction, DIRECTION.limitPackets)
      .combine(3, 'sub', 2)
      .combine(4, 'sub', 5)
      .jumpIf32(3, 's<', length, 'full')
      .set(0, 1)
      .jumpIf32(4, 's<', 0, 'full')
      .combine(2, 'add', length)
      .compute(5, 'add', 1)
      .store('u64', direction, DIRECTION.redirectedBytes, 2)
      .store('u32', direction, DIRECTION.redirectedPackets, 5)

      // Little room left: the proxy looks how much of it has gone out, and gives more.
      .load('u32', 1, direction, DIRECTION.lowBytes)
      .jumpIf32(3, 's<', 1, 'low')
      .load('u32', 1, direction, DIRECTION.lowPackets)
      .jumpIf32(4, 's<', 1, 'low')

      .label('redirect')
      .copy(1, packet)
      .loadMap(2, maps.sockets)
      .copy(3, slot)
      .compute(3, 'xor', 1)
      .set(4, 0)
      .call(HELPER.redirectMap)
      .exit()

      .label('low')
      .set(1, 1)
      .exchange('u32', direction, DIRECTION.noticed, 1)
      .jumpIf(1, '!=', 0, 'redirect')
      .loadMap(1, maps.notices)
      .copy(2, 10)
      .compute(2, 'add', SLOT)
      .set(3, NOTICE_BYTES)
      .set(4, 0)
      .call(HELPER.ringbufOutput)
      .jump('redirect')

      // A barrier: whoever sees these bytes as passed also sees every byte before them as redirected.
      .label('full')
      .copy(1, length)
      .fetchAdd('u32', direction, DIRECTION.passedBytes, 1)
      .set(1, 1)
      .exchange('u32', direction, DIRECTION.noticed, 1)
      .jumpIf(1, '!=', 0, 'to the proxy')
      .loadMap(1, maps.notices)
      .copy(2, 10)
      .compute(2, 'add', SLOT)
      .set(3, NOTICE_BYTES)
      .set(4, 0)
      .call(HELPER.ringbufOutput)
      .jump('to the proxy')

      .label('behind the proxy’s')
      .combine(1, 'add', length)
      .store('u32', direction, DIRECTION.passedBytes, 1)

      .label('to the proxy')
      .set(0, SK_PASS)
      .exit()

      .label('nothing')
      .set(0, SK_DROP)
      .exit()
      .bytes()
  );
}
