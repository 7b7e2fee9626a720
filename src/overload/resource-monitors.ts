import { readdirSync, readFileSync } from 'node:fs';
import {
  type CgroupMemoryConfig,
  type DownstreamConnectionsConfig,
  type FileDescriptorsConfig,
  type FixedHeapConfig,
  type InjectedResourceConfig,
  RESOURCE_MONITOR,
} from '../config/schema/overload.ts';
import type { TypedConfig } from '../config/typed-config.ts';
import { descriptorLimit } from '../kernel/descriptor-limit.ts';
import type { OverloadState } from './overload-state.ts';

/** How much of a resource is used: 0 is nothing, 1 all that there may be. @throws Error why that is not known */
export type ResourceMonitor = () => number;

/** @throws Error where the resource has no limit and none was configured */
export function createMonitor({ type, value }: TypedConfig, state: OverloadState): ResourceMonitor {
  switch (type) {
    case RESOURCE_MONITOR.fixedHeap: {
      const { max_heap_size_bytes: max } = value as FixedHeapConfig;
      return () => process.memoryUsage.rss() / max;
    }
    case RESOURCE_MONITOR.cgroupMemory:
      return cgroupMemory(value as CgroupMemoryConfig);
    case RESOURCE_MONITOR.injected:
      return injected(value as InjectedResourceConfig);
    case RESOURCE_MONITOR.connections: {
      const { max_active_downstream_connections: max } = value as DownstreamConnectionsConfig;
      return () => (state.connections?.value ?? 0) / max;
    }
    default:
      return fileDescriptors(value as FileDescriptorsConfig);
  }
}

function injected({ filename }: InjectedResourceConfig): ResourceMonitor {
  return () => {
    const text = readFileSync(filename, 'utf8').trim();
    const pressure = Number(text);
    if (text === '' || !(pressure >= 0 && pressure <= 1)) throw new Error(`${filename} has no number from 0 to 1`);
    return pressure;
  };
}

function fileDescriptors({ max_open_files: configured }: FileDescriptorsConfig): ResourceMonitor {
  const limit = descriptorLimit();
  const max = configured === 0 ? limit : Math.min(configured, limit);
  // Reading the folder takes a descriptor, too.
  return () => (readdirSync('/proc/self/fd').length - 1) / max;
}

/** Files of the memory controller, of version 2 and 1: what is used, and the limit. */
const MEMORY_FILES = [
  ['/sys/fs/cgroup/memory.current', '/sys/fs/cgroup/memory.max'],
  ['/sys/fs/cgroup/memory/memory.usage_in_bytes', '/sys/fs/cgroup/memory/memory.limit_in_bytes'],
] as const;

function cgroupMemory({ max_memory_bytes: configured }: CgroupMemoryConfig): ResourceMonitor {
  for (const [usage, limit] of MEMORY_FILES) {
    const limitBytes = readNumber(limit);
    if (limitBytes === undefined) continue;
    const max = configured === 0 ? limitBytes : Math.min(configured, limitBytes);
    return () => Number(readFileSync(usage, 'latin1')) / max;
  }
  throw new Error('there is no cgroup with a memory limit: use envoy.resource_monitors.fixed_heap');
}

/** Undefined without the file; `max` is no limit. */
function readNumber(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'latin1').trim();
    return text === 'max' ? Number.POSITIVE_INFINITY : Number(text);
  } catch {
    return undefined;
  }
}
