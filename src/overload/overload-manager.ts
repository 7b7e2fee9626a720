import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type DownstreamConnectionsConfig,
  OVERLOAD_ACTION,
  type OverloadManager as OverloadConfig,
  RESOURCE_MONITOR,
  type Trigger,
} from '../config/schema/overload.ts';
import type { Logger } from '../filter/env.ts';
import type { Counter, Gauge, Histogram, StatsScope } from '../observe/stats.ts';
import type { SharedMemory } from '../shared-memory.ts';
import type { OverloadState } from './overload-state.ts';
import { createMonitor, type ResourceMonitor } from './resource-monitors.ts';

/** A heap that has just been shrunk has nothing to give (Envoy waits as long). */
const SHRINK_EVERY_MS = 10_000;

interface WatchedResource {
  readonly name: string;
  readonly monitor: ResourceMonitor;
  readonly pressure: Gauge;
  readonly failedUpdates: Counter;
  /** 0…1, or above. */
  value: number;
  hasFailed: boolean;
}

interface Action {
  readonly name: string;
  readonly triggers: readonly Trigger[];
  readonly active: Gauge;
  readonly scalePercent: Gauge;
}

export interface OverloadOptions {
  readonly state: OverloadState;
  readonly stats: StatsScope;
  readonly shared: SharedMemory;
  readonly log: Logger;
  /** Called when connections are to be left waiting, or to be accepted again. */
  readonly onStopConnections: (stop: boolean) => void;
}

/** Looks at the resources at every interval, and takes and ends the actions that are due (Envoy's overload manager). */
export class OverloadManager {
  private readonly options: OverloadOptions;
  private readonly resources: readonly WatchedResource[];
  private readonly actions: readonly Action[];
  private readonly config: OverloadConfig;
  private timer: NodeJS.Timeout | undefined = undefined;
  private readonly delay: Histogram;
  private readonly shrinkCount: Counter;
  private lastRefreshMs = 0;
  private lastShrinkMs = Number.NEGATIVE_INFINITY;
  private shrink: (() => void) | undefined = undefined;

  /** @throws Error where a monitor cannot work here */
  constructor(config: OverloadConfig, options: OverloadOptions) {
    this.config = config;
    this.options = options;
    const scope = options.stats.scope('overload');
    this.delay = scope.histogram('refresh_interval_delay');
    this.shrinkCount = scope.scope(OVERLOAD_ACTION.shrinkHeap).counter('shrink_count');
    this.resources = config.resource_monitors.map(({ name, typed_config: typed }) => ({
      name,
      monitor: createMonitor(typed, options.state),
      pressure: scope.scope(name).gauge('pressure'),
      failedUpdates: scope.scope(name).counter('failed_updates'),
      value: 0,
      hasFailed: false,
    }));
    this.actions = config.actions.map(({ name, triggers }) => ({
      name,
      triggers,
      active: scope.scope(name).gauge('active'),
      scalePercent: scope.scope(name).gauge('scale_percent'),
    }));
  }

  start(): void {
    const { state, shared } = this.options;
    for (const { typed_config: typed } of this.config.resource_monitors) {
      if (typed.type !== RESOURCE_MONITOR.connections) continue;
      state.connections = shared.count('overload.downstream_connections');
      state.maxConnections = (typed.value as DownstreamConnectionsConfig).max_active_downstream_connections;
    }
    this.refresh();
    this.timer = setInterval(() => this.refresh(), this.config.refresh_interval);
    this.timer.unref();
  }

  private refresh(): void {
    const nowMs = performance.now();
    if (this.lastRefreshMs > 0) this.delay.record(nowMs - this.lastRefreshMs);
    this.lastRefreshMs = nowMs;
    for (const resource of this.resources) this.measure(resource);
    for (const action of this.actions) {
      const share = Math.max(...action.triggers.map((trigger) => this.shareOf(trigger)));
      action.active.set(share === 1 ? 1 : 0);
      action.scalePercent.set(Math.floor(share * 100));
      this.take(action.name, share, nowMs);
    }
  }

  /** What cannot be read keeps its last value. */
  private measure(resource: WatchedResource): void {
    try {
      resource.value = resource.monitor();
      resource.hasFailed = false;
      resource.pressure.set(Math.floor(resource.value * 100));
    } catch (error) {
      resource.failedUpdates.inc();
      if (!resource.hasFailed)
        this.options.log.warn(`${resource.name} cannot be read`, { error: (error as Error).message });
      resource.hasFailed = true;
    }
  }

  private shareOf({ name, threshold, scaled }: Trigger): number {
    const value = this.resources.find((resource) => resource.name === name)?.value ?? 0;
    if (threshold !== undefined) return value >= threshold.value ? 1 : 0;
    if (scaled === undefined || value <= scaled.scaling_threshold) return 0;
    const { scaling_threshold: from, saturation_threshold: to } = scaled;
    return Math.min((value - from) / (to - from), 1);
  }

  private take(action: string, share: number, nowMs: number): void {
    const { state } = this.options;
    switch (action) {
      case OVERLOAD_ACTION.stopRequests:
        state.stopsRequests = share === 1;
        break;
      case OVERLOAD_ACTION.endKeepAlive:
        state.endsKeepAlive = share === 1;
        break;
      case OVERLOAD_ACTION.rejectConnections:
        state.rejectedShare = share;
        break;
      case OVERLOAD_ACTION.stopConnections:
        this.stopConnections(share === 1);
        break;
      default:
        if (share === 1 && nowMs - this.lastShrinkMs >= SHRINK_EVERY_MS) this.shrinkHeap(nowMs);
    }
  }

  private stopConnections(stop: boolean): void {
    const { state, onStopConnections } = this.options;
    if (state.stopsConnections === stop) return;
    state.stopsConnections = stop;
    onStopConnections(stop);
  }

  /** V8 gives pages back after a full collection, which it does not make by itself while nothing is allocated. */
  private shrinkHeap(nowMs: number): void {
    this.lastShrinkMs = nowMs;
    this.shrinkCount.inc();
    if (this.shrink === undefined) {
      setFlagsFromString('--expose-gc');
      this.shrink = runInNewContext('gc') as () => void;
    }
    this.shrink();
  }

  /** Ends every action. */
  close(): void {
    clearInterval(this.timer);
    for (const action of this.actions) {
      action.active.set(0);
      action.scalePercent.set(0);
      this.take(action.name, 0, 0);
    }
    this.options.state.connections = undefined;
    this.options.state.maxConnections = Number.POSITIVE_INFINITY;
  }
}
