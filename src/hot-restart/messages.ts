import * as v from 'valibot';
import type { DescriptorChannel, DescriptorMessage } from '../kernel/descriptor-passing.ts';

/** Both sides must speak the same. To be raised when a message changes. */
export const HOT_RESTART_VERSION = '1';

const name = v.pipe(v.string(), v.maxLength(1024));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const numbers = v.record(v.string(), v.number());

/** What the new process says, in this order. */
const FROM_SUCCESSOR = v.variant('type', [
  /** I would like to take over. `epoch`: mine, where the command line gives it. */
  v.strictObject({ type: v.literal('take-over'), version: name, pid: count, epoch: v.optional(count) }),
  /** Everything is loaded and bound. Nothing is accepted yet. */
  v.strictObject({ type: v.literal('prepared') }),
  /** I accept: end in order, by these terms. */
  v.strictObject({
    type: v.literal('open'),
    handedOver: v.array(name),
    drainTimeMs: count,
    isGradual: v.boolean(),
    deadlineMs: count,
  }),
]);

const STATS = { counters: numbers, gauges: numbers };

/** What the old process says. */
const FROM_PREDECESSOR = v.variant('type', [
  v.strictObject({ type: v.literal('refused'), reason: name }),
  /** Its descriptors follow, as many per message as fit, in the order of the list. */
  v.strictObject({
    type: v.literal('sockets'),
    pid: count,
    epoch: count,
    generation: count,
    firstStartedAtEpochMs: v.number(),
    sockets: v.array(v.strictObject({ key: name, port: count, descriptors: count })),
  }),
  v.strictObject({ type: v.literal('descriptors') }),
  /** Nothing changes here any more: open. */
  v.strictObject({ type: v.literal('go'), ...STATS }),
  /** From time to time until it ends. */
  v.strictObject({ type: v.literal('stats'), ...STATS }),
]);

export type FromSuccessor = v.InferOutput<typeof FROM_SUCCESSOR>;
export type FromPredecessor = v.InferOutput<typeof FROM_PREDECESSOR>;
export type OpenMessage = Extract<FromSuccessor, { type: 'open' }>;
export type SocketsMessage = Extract<FromPredecessor, { type: 'sockets' }>;
export type StatsMessage = Extract<FromPredecessor, { type: 'go' | 'stats' }>;

/** Longest that a process which is well may take for one message. */
const SEND_TIMEOUT_MS = 5000;
/** What a stranger may make this process read. */
const MAX_REQUEST_BYTES = 256 * 1024;
/** Statistics of a large configuration. */
const MAX_STATS_BYTES = 64 * 1024 * 1024;

export function send(
  channel: DescriptorChannel,
  message: FromSuccessor | FromPredecessor,
  descriptors: readonly number[] = [],
): Promise<void> {
  return channel.send(Buffer.from(JSON.stringify(message)), descriptors, SEND_TIMEOUT_MS);
}

/** The next message of the new process; undefined when it has gone. @throws Error for what is none */
export async function fromSuccessor(channel: DescriptorChannel, timeoutMs: number): Promise<FromSuccessor | undefined> {
  const limits = { timeoutMs, maxPayloadBytes: MAX_REQUEST_BYTES, maxDescriptors: 0 };
  const message = await channel.receive(limits);
  return message === undefined ? undefined : read(FROM_SUCCESSOR, message);
}

/** The next message of the old process with its descriptors, which are the caller's; undefined when it has gone. */
export async function fromPredecessor(
  channel: DescriptorChannel,
  timeoutMs: number,
  maxDescriptors = 0,
): Promise<{ message: FromPredecessor; descriptors: readonly number[] } | undefined> {
  const limits = { timeoutMs, maxPayloadBytes: MAX_STATS_BYTES, maxDescriptors };
  const received = await channel.receive(limits);
  return received === undefined
    ? undefined
    : { message: read(FROM_PREDECESSOR, received), descriptors: received.descriptors };
}

function read<T extends v.GenericSchema>(schema: T, { payload }: DescriptorMessage): v.InferOutput<T> {
  try {
    return v.parse(schema, JSON.parse(payload.toString()));
  } catch {
    throw new Error(
      `no message of hot restart ${HOT_RESTART_VERSION}: ${JSON.stringify(payload.toString('latin1', 0, 80))}`,
    );
  }
}
