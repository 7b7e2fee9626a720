import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedConfig } from '../config/load.ts';
import type { Logger } from '../filter/env.ts';
import { closeAll } from '../kernel/descriptor-passing.ts';
import { adminKey } from '../observe/admin/admin-key.ts';
import type { ProxyView } from '../observe/admin/view.ts';
import type { ProxyOptions, RetirementTerms, RunningProxy } from '../proxy.ts';
import { Handover } from './handover.ts';
import { InheritedStats } from './inherited-stats.ts';
import { HOT_RESTART_VERSION } from './messages.ts';
import { RestartPlace } from './restart-place.ts';
import { type SocketShares, shareOut } from './socket-shares.ts';
import { Takeover } from './takeover.ts';

/** What the command line says about hot restarts. */
export interface HotRestartSettings {
  /** The restart socket, or the number that names one, as Envoy's `--base-id`; `dynamic` takes a free one. */
  readonly place:
    | { readonly path: string }
    | { readonly baseId: number | 'dynamic'; readonly file: string | undefined };
  /** Of this process, counted from 0; undefined takes over from whoever serves. */
  readonly epoch: number | undefined;
  /** With an epoch above 0: start as the first one when nobody serves. */
  readonly startsAlone: boolean;
  readonly keepsStats: boolean;
  /** How the process that served before ends. */
  readonly terms: Omit<RetirementTerms, 'handedOver'>;
}

/** What the start of a proxy has, besides. */
export interface HotRestartContext {
  readonly config: LoadedConfig;
  readonly concurrency: number;
  readonly adminAddress: ProxyOptions['adminAddress'];
  readonly log: Logger;
}

/** What a hot restart asks of whoever serves. */
export interface HotRestartHooks {
  isEnding(): boolean;
  /** Waits for the reload that runs, and lets none begin before `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** Another process accepts from now on: retire the proxy, then call `farewell`. */
  onHandedOver(terms: RetirementTerms, successorPid: number): void;
}

/** Longest wait for another process that takes over at the moment. */
const LOCK_TIMEOUT_MS = 60_000;
/** Longest wait for the successor to take the last statistics. */
const FAREWELL_MS = 2000;

/** One process's part in a chain of hot restarts: it takes over from the one before, and hands over to the next. */
export class HotRestart {
  private readonly settings: HotRestartSettings;
  private readonly place: RestartPlace;
  private readonly log: Logger;
  private readonly takeover: Takeover | undefined;
  private readonly shares: SocketShares | undefined;
  private readonly unlock: () => void;
  private readonly inherited = new InheritedStats();
  private readonly epoch: number;
  private readonly generation: number;
  private readonly firstStartedAtEpochMs: number;
  /** For `startProxy`. */
  readonly proxyOptions: Pick<ProxyOptions, 'takeover' | 'extendView'>;
  private readonly retired = Promise.withResolvers<void>();
  private visits: Promise<unknown> = Promise.resolve();

  private constructor(
    settings: HotRestartSettings,
    place: RestartPlace,
    unlock: () => void,
    takeover: Takeover | undefined,
    context: HotRestartContext,
  ) {
    this.settings = settings;
    this.place = place;
    this.unlock = unlock;
    this.takeover = takeover;
    this.log = context.log;
    const before = takeover?.predecessor;
    this.epoch = settings.epoch ?? (before === undefined ? 0 : before.epoch + 1);
    this.generation = (before?.generation ?? 0) + 1;
    this.firstStartedAtEpochMs = before?.firstStartedAtEpochMs ?? Math.round(performance.timeOrigin);
    const extendView = (view: ProxyView): ProxyView => this.extend(view);
    if (takeover === undefined) {
      this.proxyOptions = { extendView };
      return;
    }
    const { config, concurrency } = context;
    const wanted = wantedAdmin(context);
    const isAdmin = ({ key }: { key: string }): boolean => key === wanted;
    const admin = takeover.sockets.find(isAdmin)?.descriptors[0];
    const others = takeover.sockets.filter((one) => !isAdmin(one));
    const shares = shareOut(others, config.bootstrap.static_resources.listeners, concurrency);
    this.shares = shares;
    this.proxyOptions = {
      takeover: { sockets: shares.byThread, ...(admin === undefined ? {} : { admin }) },
      extendView,
    };
  }

  /**
   * Meets the process that serves, if there is one, and gets its sockets. It goes on serving until `ready`.
   *
   * @throws Error that says why this process cannot take part
   */
  static async begin(settings: HotRestartSettings, context: HotRestartContext): Promise<HotRestart> {
    const place = new RestartPlace(pathOf(settings));
    const unlock = await place.lock(LOCK_TIMEOUT_MS);
    let takeover: Takeover | undefined;
    try {
      if (settings.epoch === 0) await refuseSecond(place);
      else takeover = await Takeover.begin(place, settings.epoch);
      if (takeover === undefined && (settings.epoch ?? 0) > 0 && !settings.startsAlone) {
        throw new Error(`hot restart: no process serves at ${place.path} whose epoch could be followed`);
      }
      return new HotRestart(settings, place, unlock, takeover, context);
    } catch (error) {
      for (const { descriptors } of takeover?.sockets ?? []) closeAll(descriptors);
      takeover?.abandon();
      unlock();
      throw error;
    }
  }

  /** The proxy has started. Where it takes over, it accepts from now on, and the process before ends in order. */
  async ready(proxy: RunningProxy, hooks: HotRestartHooks): Promise<void> {
    const { log, takeover, settings } = this;
    const handover = new Handover(
      {
        epoch: this.epoch,
        generation: this.generation,
        firstStartedAtEpochMs: this.firstStartedAtEpochMs,
        isEnding: () => hooks.isEnding(),
        pause: () => hooks.pause(),
        resume: () => hooks.resume(),
        listeningSockets: () => proxy.listeningSockets(),
        stats: async () => this.inherited.addTo(await proxy.stats()),
        retire: (terms, pid) => {
          this.place.close(true);
          hooks.onHandedOver(terms, pid);
          return this.retired.promise;
        },
      },
      log,
    );
    await this.place.prepare((socket) => {
      this.visits = Promise.all([this.visits, handover.visit(socket)]);
    });
    if (takeover !== undefined) {
      const stats = await takeover.agree();
      if (stats !== undefined && settings.keepsStats) this.inherited.update(stats);
      await proxy.open();
      const terms = { ...settings.terms, handedOver: [...(this.shares?.taken ?? [])] };
      void takeover.follow(terms, (latest) => this.onStats(latest), log);
      log.info(`hot restart: took over from process ${takeover.predecessor.pid}`, { epoch: this.epoch });
    }
    this.place.publish();
    this.unlock();
  }

  private onStats(stats: Parameters<InheritedStats['update']>[0] | undefined): void {
    if (stats === undefined) this.inherited.onEnd();
    else if (this.settings.keepsStats) this.inherited.update(stats);
  }

  private extend(view: ProxyView): ProxyView {
    const { epoch, generation, firstStartedAtEpochMs, inherited } = this;
    return {
      ...view,
      restart: { version: HOT_RESTART_VERSION, epoch, generation, firstStartedAtEpochMs },
      stats: async () => inherited.addTo(await view.stats()),
      resetCounters: async () => {
        inherited.reset();
        await view.resetCounters();
      },
    };
  }

  /** What ran here is over: the successor gets the last statistics. */
  async farewell(): Promise<void> {
    this.retired.resolve();
    await Promise.race([this.visits, sleep(FAREWELL_MS, undefined, { ref: false })]);
  }

  /** Ends this process's part. Before `ready`, the other process goes on serving as if nothing had been. */
  close(): void {
    this.takeover?.abandon();
    this.place.close(false);
    this.unlock();
  }
}

function pathOf({ place }: HotRestartSettings): string {
  if ('path' in place) return place.path;
  const baseId = place.baseId === 'dynamic' ? randomInt(1, 2 ** 31) : place.baseId;
  if (place.file !== undefined) writeFileSync(place.file, String(baseId));
  return RestartPlace.ofBaseId(baseId);
}

/** @throws Error when somebody serves there already */
async function refuseSecond(place: RestartPlace): Promise<void> {
  const socket = await place.connect();
  if (socket === undefined) return;
  socket.destroy();
  throw new Error(
    `hot restart: a process serves at ${place.path} already; --restart-epoch must be one more than its own (see --base-id)`,
  );
}

/** Which of the other process's admin sockets this one can use: the one that was asked for in the same words. */
function wantedAdmin({ adminAddress, config }: HotRestartContext): string {
  const configured = config.bootstrap.admin?.address?.socket_address;
  if (adminAddress !== undefined) return adminKey(adminAddress.host, adminAddress.port);
  return configured === undefined ? '' : adminKey(configured.address, configured.port_value ?? 0);
}
