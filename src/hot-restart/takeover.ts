import { readFileSync } from 'node:fs';
import type { Logger } from '../filter/env.ts';
import { closeAll, DescriptorChannel, MAX_DESCRIPTORS } from '../kernel/descriptor-passing.ts';
import { libc } from '../kernel/libc.ts';
import type { ListeningSockets } from '../proxy.ts';
import {
  type FromPredecessor,
  fromPredecessor,
  HOT_RESTART_VERSION,
  type OpenMessage,
  type SocketsMessage,
  type StatsMessage,
  send,
} from './messages.ts';
import { ownUid, type RestartPlace } from './restart-place.ts';

/** A process that serves and is well answers within this time. */
const ANSWER_TIMEOUT_MS = 5000;
/** Between two messages of statistics; it sends them far more often. */
const STATS_TIMEOUT_MS = 60_000;

const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;

/** The new process's side of a hot restart: the process that serves, as met at the restart socket. */
export class Takeover {
  readonly predecessor: Omit<SocketsMessage, 'type' | 'sockets'>;
  readonly sockets: readonly ListeningSockets[];
  private readonly channel: DescriptorChannel;
  /** As the kernel knows it here. */
  private readonly pid: number;

  private constructor(channel: DescriptorChannel, answer: SocketsMessage, sockets: readonly ListeningSockets[]) {
    this.channel = channel;
    this.predecessor = answer;
    this.sockets = sockets;
    this.pid = channel.peer().pid;
  }

  /**
   * Gets the sockets of the process that serves, which goes on serving.
   *
   * @param epoch - of this process, where the command line gives it; the other one must have the one before
   * @returns undefined where no process serves
   * @throws Error that says why nothing can be taken over
   */
  static async begin(place: RestartPlace, epoch: number | undefined): Promise<Takeover | undefined> {
    const socket = await place.connect();
    if (socket === undefined) return undefined;
    const channel = new DescriptorChannel(socket);
    try {
      const { uid, pid } = channel.peer();
      if (uid !== ownUid()) throw new Error(`process ${pid} there belongs to another user (${uid})`);
      const wish = { type: 'take-over', version: HOT_RESTART_VERSION, pid: process.pid } as const;
      await send(channel, epoch === undefined ? wish : { ...wish, epoch });
      const answer = await expectMessage(channel, 'sockets', `process ${pid}, which serves,`);
      return new Takeover(channel, answer, await receiveSockets(channel, answer));
    } catch (error) {
      channel.close();
      throw new Error(`hot restart at ${place.path}: ${(error as Error).message}`, { cause: error });
    }
  }

  /**
   * Everything is prepared: the other process must agree before this one accepts. One that died meanwhile agrees.
   *
   * @returns its statistics; undefined when it has gone
   * @throws Error when it does not answer, or has withdrawn
   */
  async agree(): Promise<StatsMessage | undefined> {
    try {
      await send(this.channel, { type: 'prepared' });
      return await expectMessage(this.channel, 'go', `process ${this.predecessor.pid}, which serves,`);
    } catch (error) {
      if (!isAlive(this.pid)) return undefined;
      throw error;
    }
  }

  /** This process accepts. The other one ends in order; its statistics come until it has. */
  async follow(
    terms: Omit<OpenMessage, 'type'>,
    onStats: (stats: StatsMessage | undefined) => void,
    log: Logger,
  ): Promise<void> {
    const { pid } = this.predecessor;
    try {
      await send(this.channel, { type: 'open', ...terms });
      for (;;) {
        const received = await fromPredecessor(this.channel, STATS_TIMEOUT_MS);
        if (received === undefined) break;
        if (received.message.type === 'stats') onStats(received.message);
      }
      log.info(`process ${pid} has ended what it served`);
    } catch (error) {
      log.warn(`process ${pid}, which served before, went away: ${(error as Error).message}`);
    }
    onStats(undefined);
    this.channel.close();
  }

  /** Lets the other process serve as if nothing had been. */
  abandon(): void {
    this.channel.close();
  }
}

async function receiveSockets(channel: DescriptorChannel, { sockets }: SocketsMessage): Promise<ListeningSockets[]> {
  const total = sockets.reduce((sum, { descriptors }) => sum + descriptors, 0);
  const received: number[] = [];
  try {
    while (received.length < total) {
      const more = await fromPredecessor(channel, ANSWER_TIMEOUT_MS, MAX_DESCRIPTORS);
      if (more === undefined) throw new Error('the process that serves ended');
      received.push(...more.descriptors);
      if (more.message.type !== 'descriptors' || more.descriptors.length === 0) throw unexpected(more.message);
    }
    if (received.length > total) throw new Error('more sockets came than were announced');
    for (const fd of received) if (!listens(fd)) throw new Error('what came is no listening socket');
  } catch (error) {
    closeAll(received);
    throw error;
  }
  let next = 0;
  return sockets.map(({ key, port, descriptors }) => {
    next += descriptors;
    return { key, port, descriptors: received.slice(next - descriptors, next) };
  });
}

function listens(fd: number): boolean {
  const value = new Int32Array(1);
  return libc()?.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, Uint32Array.of(4)) === 0 && value[0] === 1;
}

async function expectMessage<T extends FromPredecessor['type']>(
  channel: DescriptorChannel,
  type: T,
  who: string,
): Promise<Extract<FromPredecessor, { type: T }>> {
  const received = await fromPredecessor(channel, ANSWER_TIMEOUT_MS).catch((error: Error) => {
    throw new Error(`${who} does not answer: ${error.message}`);
  });
  if (received === undefined) throw new Error(`${who} ended the talk`);
  const { message } = received;
  if (message.type === 'refused') throw new Error(`${who} refuses: ${message.reason}`);
  if (message.type !== type) throw unexpected(message);
  return message as Extract<FromPredecessor, { type: T }>;
}

function unexpected({ type }: FromPredecessor): Error {
  return new Error(`'${type}' came when something else was due`);
}

/** Whether a process is there, frozen or not. One that has ended may still wait for its parent, as a zombie. */
function isAlive(pid: number): boolean {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.[0] ?? '';
    return state !== 'Z' && state !== 'X';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
