import { randomFillSync } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type { TlsSessionTicketKeys } from '../../config/schema/tls.ts';
import { type SourceReader, TlsLoadError } from './source-reader.ts';

/** A key as Envoy's files have it: 16 bytes of name, 32 for the HMAC, 32 for AES, of which 16 are used here. */
const KEY_BYTES = 80;
const NAME_BYTES = 16;
const AES_START = 48;
const AES_BYTES = 16;
const IV_BYTES = 16;

/** What OpenSSL is told of a key: its parts. */
interface TicketKey {
  readonly name: Buffer;
  readonly hmac: Buffer;
  readonly aes: Buffer;
}

/** The keys that session tickets are made with. They decide nothing about trust: `sessionContextId` does. */
export interface TicketKeys {
  /** The key for new tickets. */
  newest(): TicketKey;
  /** The key that a ticket names; undefined when it is not known, which leads to a full handshake. */
  find(name: Buffer): TicketKey | undefined;
}

/** Configured keys: the first one makes tickets, all are accepted. @throws TlsLoadError */
export function readTicketKeys(config: TlsSessionTicketKeys, reader: SourceReader): TicketKeys {
  const keys = config.keys.map((source, index) => {
    const what = `session_ticket_keys.keys[${index}]`;
    const bytes = reader.read(source, what);
    if (bytes.length !== KEY_BYTES) throw new TlsLoadError(`${what} has ${bytes.length} bytes, not ${KEY_BYTES}`);
    return partsOf(bytes);
  });
  return {
    newest: () => keys[0] as TicketKey,
    find: (name) => keys.find((key) => key.name.equals(name)),
  };
}

function partsOf(bytes: Buffer): TicketKey {
  return {
    name: bytes.subarray(0, NAME_BYTES),
    hmac: bytes.subarray(NAME_BYTES, AES_START),
    aes: bytes.subarray(AES_START, AES_START + AES_BYTES),
  };
}

/** A key makes tickets for so long; it is accepted for as long again. */
const ROTATION_MS = 12 * 3_600_000;

/** Two keys, when each was made (milliseconds since the epoch), and a word: its lowest bit says which is the newest. */
export const SHARED_KEYS_BYTES = 8 + 2 * 8 + 2 * KEY_BYTES;
/** Between a look at the clock and another thread's. */
const MAX_SKEW_MS = 60_000;
const UNMADE = 0;
const BUSY = 1;
const FIRST = 2;

/**
 * Keys that nobody configured, in memory that all threads of the process share: each resumes what any of them issued.
 * Whichever thread first finds the newest key too old makes the next one.
 */
export class SharedTicketKeys implements TicketKeys {
  private readonly state: Int32Array;
  private readonly madeMs: Float64Array;
  private readonly bytes: readonly Buffer[];
  private readonly keys: readonly TicketKey[];
  private readonly now: () => number;

  /** @param memory `SHARED_KEYS_BYTES` long, zeroed when it is new. */
  constructor(memory: SharedArrayBuffer | ArrayBuffer, now: () => number = Date.now) {
    this.state = new Int32Array(memory, 0, 1);
    this.madeMs = new Float64Array(memory, 8, 2);
    this.bytes = [0, 1].map((slot) => Buffer.from(memory as ArrayBuffer, 24 + slot * KEY_BYTES, KEY_BYTES));
    this.keys = this.bytes.map(partsOf);
    this.now = now;
    if (this.tryLock(UNMADE)) this.make(0);
  }

  newest(): TicketKey {
    const state = this.settled();
    const slot = state & 1;
    const ageMs = this.now() - (this.madeMs[slot] as number);
    // A key from the future was made before the clock went back: it would stay until then.
    if ((ageMs < ROTATION_MS && ageMs > -MAX_SKEW_MS) || !this.tryLock(state)) return this.key(slot);
    this.make(slot ^ 1);
    return this.key(slot ^ 1);
  }

  find(name: Buffer): TicketKey | undefined {
    const slot = this.settled() & 1;
    const oldestMs = this.now() - 2 * ROTATION_MS;
    for (const one of [slot, slot ^ 1]) {
      const key = this.keys[one] as TicketKey;
      if (key.name.equals(name) && (this.madeMs[one] as number) > oldestMs) return key;
    }
    return undefined;
  }

  private key(slot: number): TicketKey {
    return this.keys[slot] as TicketKey;
  }

  /** Another thread makes a key in microseconds; this one waits for it. */
  private settled(): number {
    let state = Atomics.load(this.state, 0);
    while (state === BUSY) state = Atomics.load(this.state, 0);
    return state;
  }

  private tryLock(expected: number): boolean {
    return Atomics.compareExchange(this.state, 0, expected, BUSY) === expected;
  }

  private make(slot: number): void {
    randomFillSync(this.bytes[slot] as Buffer);
    this.madeMs[slot] = this.now();
    Atomics.store(this.state, 0, FIRST + slot);
  }
}

/** The part of Node's context that asks for keys; there is no documented way to have more than one. */
interface TicketContext {
  enableTicketKeyCallback?: () => void;
  onticketkeycallback?: (name: Buffer, iv: Buffer, isNew: boolean) => unknown[];
  setTicketKeys?: (keys: Buffer) => void;
}

/** OpenSSL's answers: the key is not known; a ticket is made with it; it opens the ticket, and the client gets a new one. */
const UNKNOWN = 0;
const MAKE = 1;
const OPEN_AND_RENEW = 2;

/** Makes a context issue and accept tickets under these keys. */
export function installTicketKeys({ context }: SecureContext, keys: TicketKeys): void {
  const native = context as TicketContext;
  if (typeof native.enableTicketKeyCallback !== 'function') {
    // Without a callback, one key makes and opens all tickets.
    const { name, hmac, aes } = keys.newest();
    native.setTicketKeys?.(Buffer.concat([name, hmac.subarray(0, 16), aes]));
    return;
  }
  native.enableTicketKeyCallback();
  native.onticketkeycallback = (name, _iv, isNew) => {
    if (isNew) {
      const key = keys.newest();
      return [MAKE, key.hmac, key.aes, key.name, randomIv()];
    }
    const key = keys.find(name);
    if (key === undefined) return [UNKNOWN, NOTHING, NOTHING];
    // Clients of TLS 1.3 use a ticket once (RFC 8446 appendix C.4): without a new one their next handshake is a full one.
    return [OPEN_AND_RENEW, key.hmac, key.aes];
  };
}

const NOTHING = Buffer.alloc(AES_BYTES);

let ivs: Buffer | undefined;
let ivOffset = 0;

/** From a store of random bytes: asking for sixteen at a time costs more than making them. */
function randomIv(): Buffer {
  if (ivs === undefined || ivOffset === ivs.length) {
    ivs = randomFillSync(Buffer.allocUnsafeSlow(256 * IV_BYTES));
    ivOffset = 0;
  }
  ivOffset += IV_BYTES;
  return ivs.subarray(ivOffset - IV_BYTES, ivOffset);
}
