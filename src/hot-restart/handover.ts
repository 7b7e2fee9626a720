import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../filter/env.ts';
import { DescriptorChannel, MAX_DESCRIPTORS } from '../kernel/descriptor-passing.ts';
import type { StatsSnapshot } from '../observe/stats-snapshot.ts';
import type { ListeningSockets, RetirementTerms } from '../proxy.ts';
import { statsMessage } from './inherited-stats.ts';
import { fromSuccessor, HOT_RESTART_VERSION, type OpenMessage, type SocketsMessage, send } from './messages.ts';
import { ownUid } from './restart-place.ts';

/** Whoever connects says what he wants within this time. */
const HELLO_TIMEOUT_MS = 5000;
/** Longest that the new process may take to load: its first DNS answers and health checks may be waited for. */
const PREPARE_TIMEOUT_MS = 300_000;
/** It opens at once, once it may. */
const OPEN_TIMEOUT_MS = 10_000;
/** Statistics go over so often while this process finishes what runs. */
const STATS_EVERY_MS = 1000;

/** What a handover needs of the process that serves. */
export interface HandoverSource {
  readonly epoch: number;
  readonly generation: number;
  readonly firstStartedAtEpochMs: number;
  /** The process ends already: there is nothing to take over. */
  isEnding(): boolean;
  /** Waits until no reload is under way; none begins before `resume`. */
  pause(): Promise<void>;
  resume(): void;
  listeningSockets(): Promise<readonly ListeningSockets[]>;
  stats(): Promise<StatsSnapshot>;
  /** Another process accepts. Fulfils when everything that runs here is over. */
  retire(terms: RetirementTerms, successorPid: number): Promise<void>;
}

/** The serving process's side of a hot restart: hands its sockets to whoever comes and may have them. */
export class Handover {
  private readonly source: HandoverSource;
  private readonly log: Logger;
  private busyWith: number | undefined = undefined;

  constructor(source: HandoverSource, log: Logger) {
    this.source = source;
    this.log = log;
  }

  /** Serves one connection of the restart socket. Never throws. */
  async visit(socket: Socket): Promise<void> {
    const channel = new DescriptorChannel(socket);
    try {
      await this.hear(channel);
    } catch (error) {
      this.log.warn('hot restart: a connection was refused', { reason: (error as Error).message });
    } finally {
      channel.close();
    }
  }

  private async hear(channel: DescriptorChannel): Promise<void> {
    const { uid, pid } = channel.peer();
    if (uid !== ownUid()) throw new Error(`process ${pid} belongs to another user (${uid})`);
    const wish = await fromSuccessor(channel, HELLO_TIMEOUT_MS);
    // Somebody only looked whether anybody is here.
    if (wish === undefined) return;
    if (wish.type !== 'take-over') throw new Error(`'${wish.type}' came before 'take-over'`);
    const reason = this.objection(wish.version, wish.epoch);
    if (reason !== undefined) {
      await send(channel, { type: 'refused', reason });
      throw new Error(`process ${pid}: ${reason}`);
    }
    this.busyWith = pid;
    try {
      await this.source.pause();
      await this.handOver(channel, pid);
    } finally {
      this.busyWith = undefined;
      this.source.resume();
    }
  }

  private objection(version: string, epoch: number | undefined): string | undefined {
    const { source } = this;
    if (version !== HOT_RESTART_VERSION) return `it speaks hot restart ${HOT_RESTART_VERSION}, not ${version}`;
    if (source.isEnding()) return 'it ends already';
    if (this.busyWith !== undefined) return `process ${this.busyWith} is taking over already`;
    if (epoch !== undefined && epoch !== source.epoch + 1) {
      return `its epoch is ${source.epoch}, so the next one is ${source.epoch + 1}, not ${epoch}`;
    }
    return undefined;
  }

  private async handOver(channel: DescriptorChannel, pid: number): Promise<void> {
    const { source, log } = this;
    log.info(`hot restart: process ${pid} loads its configuration to take over`);
    await this.sendSockets(channel);
    const terms = await this.untilOpen(channel, pid);
    if (terms === undefined) return;
    const retired = source.retire(terms, pid);
    await this.sendStatsUntil(channel, retired);
  }

  private async sendSockets(channel: DescriptorChannel): Promise<void> {
    const { epoch, generation, firstStartedAtEpochMs } = this.source;
    const found = await this.source.listeningSockets();
    const sockets = found.map(({ key, port, descriptors }) => ({ key, port, descriptors: descriptors.length }));
    const message: SocketsMessage = {
      type: 'sockets',
      pid: process.pid,
      epoch,
      generation,
      firstStartedAtEpochMs,
      sockets,
    };
    await send(channel, message);
    const all = found.flatMap(({ descriptors }) => descriptors);
    for (let at = 0; at < all.length; at += MAX_DESCRIPTORS) {
      await send(channel, { type: 'descriptors' }, all.slice(at, at + MAX_DESCRIPTORS));
    }
  }

  /** Undefined when the new process gave up: this one has never ceased to serve. */
  private async untilOpen(channel: DescriptorChannel, pid: number): Promise<OpenMessage | undefined> {
    const { source, log } = this;
    try {
      const prepared = await fromSuccessor(channel, PREPARE_TIMEOUT_MS);
      if (prepared?.type === 'prepared' && !source.isEnding()) {
        await send(channel, statsMessage('go', await source.stats()));
        const open = await fromSuccessor(channel, OPEN_TIMEOUT_MS);
        if (open?.type === 'open') return open;
      }
      log.warn(`hot restart: process ${pid} did not take over; this one goes on serving`);
    } catch (error) {
      log.warn(`hot restart: process ${pid} did not take over; this one goes on serving`, {
        reason: (error as Error).message,
      });
    }
    return undefined;
  }

  private async sendStatsUntil(channel: DescriptorChannel, retired: Promise<void>): Promise<void> {
    let isRetired = false;
    const end = retired.finally(() => {
      isRetired = true;
    });
    let isHeard = true;
    do {
      await Promise.race([end, sleep(STATS_EVERY_MS, undefined, { ref: false })]);
      if (!isHeard) continue;
      const stats = await this.source.stats();
      // A successor that ended has no use for them.
      await send(channel, statsMessage('stats', stats)).catch(() => {
        isHeard = false;
      });
    } while (!isRetired);
  }
}
