import { createServer, connect as open, type Socket } from 'node:net';
import { libc } from '../kernel/libc.ts';
import { handleOf, streamBinding } from '../network/stream-handle.ts';
import { type EventClock, EventSampler } from './events.ts';
import { Meter } from './meter.ts';
import { timed } from './weave.ts';

/** What the probe costs, and what cannot be timed where it happens. All in milliseconds. */
export interface Calibration {
  /** Of one timed call: what is counted with the part, and with the part around it. */
  readonly innerMs: number;
  readonly outerMs: number;
  /** Of one timed event, beside the calls in it, and of one that is timed as a whole; its share of the row included. */
  readonly eventMs: number;
  readonly plainEventMs: number;
  /** Of a write call, what is not the system call's. */
  readonly writeMs: number;
  /** Of a read system call: for each, and for each byte. */
  readonly readMs: number;
  readonly readByteMs: number;
}

const PAIRS = 2000;
/** The first ones run before V8 has compiled anything. */
const ROUNDS = 20;
const ROUNDS_THAT_COUNT = 10;

/** Times calls, events and system calls for a few milliseconds, with nobody else at work. */
export async function calibrate(clock: EventClock): Promise<Calibration> {
  const { innerMs, outerMs } = calibrateCalls();
  calibrateClocks(clock);
  return { innerMs, outerMs, ...calibrateEvents(clock), ...(await calibrateSystemCalls()) };
}

/** Empty methods, timed: all that is counted is the probe's. */
function calibrateCalls(): { innerMs: number; outerMs: number } {
  const inner: number[] = [];
  const outer: number[] = [];
  const meter = new Meter();
  const part = meter.parts.of('routing');
  // One for all rounds: each timed function is compiled by itself.
  const empty = { run: timed(meter, () => undefined, { part }) };
  for (let round = 0; round < ROUNDS; round++) {
    meter.forget();
    meter.beginEvent();
    for (let i = 0; i < PAIRS; i++) empty.run();
    meter.stopClock();
    meter.endEvent();
    meter.keep();
    const sums = meter.routes.get('');
    inner.push((sums?.ms[part] ?? 0) / PAIRS);
    outer.push((sums?.ms[meter.parts.of('packet_processing')] ?? 0) / PAIRS);
  }
  return {
    innerMs: undisturbed(inner.slice(-ROUNDS_THAT_COUNT)),
    outerMs: undisturbed(outer.slice(-ROUNDS_THAT_COUNT)),
  };
}

/**
 * What each clock's reading adds to what lies between two of them. Rounds run until V8 has compiled them: in its first
 * hundreds of calls a clock takes ten times as long.
 */
function calibrateClocks(clock: EventClock): void {
  const readingOf = (read: () => number): number => {
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      let ms = 0;
      for (let i = 0; i < PAIRS / 10; i++) {
        const before = read();
        ms += read() - before;
      }
      rounds.push(ms / (PAIRS / 10));
    }
    return undisturbed(rounds.slice(-ROUNDS_THAT_COUNT));
  };
  clock.readMs = readingOf(() => performance.now());
  if (clock.cpuMs !== undefined) clock.readCpuMs = readingOf(clock.cpuMs);
}

/** What the probe does around events, with nothing in them: by the CPU's clock, over many rows. */
function calibrateEvents({
  cpuMs,
  turns,
  readMs,
  readCpuMs,
}: EventClock): Pick<Calibration, 'eventMs' | 'plainEventMs'> {
  if (cpuMs === undefined) return { eventMs: 0, plainEventMs: 0 };
  const clock: EventClock = { cpuMs, turns, readMs, readCpuMs };
  const costOf = (kind: 'timed' | 'plain'): number => {
    const rounds: number[] = [];
    const sampler = new EventSampler(
      new Meter(),
      clock,
      1,
      () => {},
      () => {},
      kind,
    );
    for (let round = 0; round < ROUNDS; round++) {
      const startMs = cpuMs();
      for (let i = 0; i < PAIRS / 10; i++) {
        sampler.enter();
        sampler.leave();
      }
      rounds.push((cpuMs() - startMs) / (PAIRS / 10));
    }
    return undisturbed(rounds.slice(-ROUNDS_THAT_COUNT));
  };
  return { eventMs: costOf('timed'), plainEventMs: costOf('plain') };
}

const NO_SYSTEM_CALLS = { writeMs: 0, readMs: 0, readByteMs: 0 };
const SMALL_BYTES = 128;
const LARGE_BYTES = 32 * 1024;
const CALLS = 200;

/**
 * Reads and writes a loopback connection of our own, once as the proxy does, once by the bare system call. Nothing is
 * told apart where libc or Node's handles are out of reach.
 */
async function calibrateSystemCalls(): Promise<typeof NO_SYSTEM_CALLS> {
  const c = libc();
  if (c === undefined || streamBinding === undefined) return NO_SYSTEM_CALLS;
  const pair = await loopbackPair();
  try {
    const writer = handleOf(pair[0]);
    const from = fileDescriptor(pair[0]);
    const to = fileDescriptor(pair[1]);
    if (writer === undefined || from < 0 || to < 0) return NO_SYSTEM_CALLS;
    const bytes = Buffer.alloc(LARGE_BYTES, 'x');
    const address = c.addressOf(bytes);
    // Of calls that are refused at the door, which shows what the way there and back takes.
    const calls: number[] = [];
    const text = bytes.latin1Slice(0, SMALL_BYTES);
    const request = new streamBinding.WriteWrap();
    const nodeWrites: number[] = [];
    const bareWrites: number[] = [];
    const small: number[] = [];
    const large: number[] = [];
    const read = (size: number): number => duration(() => c.recv(to, address, BigInt(size), 0));
    for (let i = 0; i < CALLS; i++) {
      calls.push(duration(() => c.send(-1, address, BigInt(SMALL_BYTES), 0)));
      nodeWrites.push(duration(() => writer.writeLatin1String(request, text)));
      small.push(read(SMALL_BYTES));
      bareWrites.push(duration(() => c.send(from, address, BigInt(SMALL_BYTES), 0)));
      small.push(read(SMALL_BYTES));
      if (i % 10 > 0) continue;
      c.send(from, address, BigInt(LARGE_BYTES), 0);
      large.push(read(LARGE_BYTES));
    }
    const callMs = undisturbed(calls);
    const readMs = Math.max(0, undisturbed(small) - callMs);
    return {
      writeMs: Math.max(0, undisturbed(nodeWrites) - (undisturbed(bareWrites) - callMs)),
      readMs,
      readByteMs: Math.max(0, (undisturbed(large) - callMs - readMs) / (LARGE_BYTES - SMALL_BYTES)),
    };
  } finally {
    for (const socket of pair) socket.destroy();
  }
}

function fileDescriptor(socket: Socket): number {
  return (socket as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;
}

function loopbackPair(): Promise<[Socket, Socket]> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true });
    let client: Socket | undefined;
    server.once('error', reject);
    server.once('connection', (accepted) => {
      server.close();
      const socket = client as Socket;
      const done = (): void => resolve([socket, accepted]);
      if (socket.connecting) socket.once('connect', done);
      else done();
    });
    server.listen(0, '127.0.0.1', () => {
      client = open({ port: (server.address() as { port: number }).port, host: '127.0.0.1' });
      client.pause();
      client.once('error', reject);
    });
  });
}

function duration(run: () => unknown): number {
  const startMs = performance.now();
  run();
  return performance.now() - startMs;
}

/** Others on the machine only make a call longer: the shorter ones are its own. */
function undisturbed(durations: number[]): number {
  durations.sort((a, b) => a - b);
  return durations[Math.floor(durations.length / 5)] ?? 0;
}
