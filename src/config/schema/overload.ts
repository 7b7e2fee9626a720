import type * as v from 'valibot';
import { double, duration, list, message, nonEmptyString, optional, Problem, uint64 } from './building-blocks.ts';
import { anyConfig } from './containers.ts';
import { check, oneof } from './message.ts';

/** envoy.config.overload.v3. */

/** The actions that there are, by Envoy's names. */
export const OVERLOAD_ACTION = {
  stopRequests: 'envoy.overload_actions.stop_accepting_requests',
  endKeepAlive: 'envoy.overload_actions.disable_http_keepalive',
  stopConnections: 'envoy.overload_actions.stop_accepting_connections',
  rejectConnections: 'envoy.overload_actions.reject_incoming_connections',
  shrinkHeap: 'envoy.overload_actions.shrink_heap',
} as const;

const ACTION_NAMES: readonly string[] = Object.values(OVERLOAD_ACTION);

const MONITORS = 'envoy.extensions.resource_monitors';
export const RESOURCE_MONITOR = {
  fixedHeap: `${MONITORS}.fixed_heap.v3.FixedHeapConfig`,
  cgroupMemory: `${MONITORS}.cgroup_memory.v3.CgroupMemoryConfig`,
  injected: `${MONITORS}.injected_resource.v3.InjectedResourceConfig`,
  connections: `${MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig`,
  descriptors: 'outrigger.v1.FileDescriptorsConfig',
} as const;

/** Memory of the process, all threads together. */
export const FixedHeapConfig = message({ max_heap_size_bytes: uint64({ min: 1 }) });
export type FixedHeapConfig = v.InferOutput<typeof FixedHeapConfig>;

/** Memory of the process's cgroup, against its limit or a lower one. */
export const CgroupMemoryConfig = message({ max_memory_bytes: optional(uint64(), 0) });
export type CgroupMemoryConfig = v.InferOutput<typeof CgroupMemoryConfig>;

/** A pressure from 0 to 1 that is the text of a file: for tests, and for pressures that others measure. */
export const InjectedResourceConfig = message({ filename: nonEmptyString() });
export type InjectedResourceConfig = v.InferOutput<typeof InjectedResourceConfig>;

/** Open downstream connections of all listeners; one more is closed at once. */
export const DownstreamConnectionsConfig = message({ max_active_downstream_connections: uint64({ min: 1 }) });
export type DownstreamConnectionsConfig = v.InferOutput<typeof DownstreamConnectionsConfig>;

/** Outrigger's own: open file descriptors, against the process's limit (RLIMIT_NOFILE) or a lower one. */
export const FileDescriptorsConfig = message({ max_open_files: optional(uint64(), 0) });
export type FileDescriptorsConfig = v.InferOutput<typeof FileDescriptorsConfig>;

const Trigger = message(
  {
    /** Of a resource monitor. */
    name: nonEmptyString(),
    /** The action is taken from this pressure on. */
    threshold: optional(message({ value: optional(double({ min: 0, max: 1 }), 0) })),
    /** Between the two, the action is taken in part. */
    scaled: optional(
      message(
        {
          scaling_threshold: optional(double({ min: 0, max: 1 }), 0),
          saturation_threshold: optional(double({ min: 0, max: 1 }), 0),
        },
        check(({ scaling_threshold, saturation_threshold }) =>
          scaling_threshold < saturation_threshold
            ? undefined
            : new Problem('it must lie above scaling_threshold', { path: ['saturation_threshold'] }),
        ),
      ),
    ),
  },
  oneof(['threshold', 'scaled'], { required: true }),
);
export type Trigger = v.InferOutput<typeof Trigger>;

const OverloadAction = message(
  {
    name: nonEmptyString(),
    /** The strongest of them counts. */
    triggers: list(Trigger, { min: 1 }),
  },
  check(({ name }) =>
    ACTION_NAMES.includes(name)
      ? undefined
      : new Problem(`there is no action "${name}"`, { path: ['name'], allowed: ACTION_NAMES.join(', ') }),
  ),
);

/** envoy.config.overload.v3.OverloadManager. */
export const OverloadManager = message(
  {
    refresh_interval: optional(duration({ minMs: 1 }), 1000),
    resource_monitors: list(message({ name: nonEmptyString(), typed_config: anyConfig('resource_monitor') }), {
      min: 1,
    }),
    actions: optional(list(OverloadAction), []),
  },
  check(({ resource_monitors: monitors, actions }) => {
    for (const [index, { name }] of monitors.entries()) {
      if (monitors.findIndex((other) => other.name === name) < index)
        return new Problem(`"${name}" exists already`, { path: ['resource_monitors', index, 'name'] });
    }
    for (const [index, { name, triggers }] of actions.entries()) {
      if (actions.findIndex((other) => other.name === name) < index)
        return new Problem(`"${name}" exists already`, { path: ['actions', index, 'name'] });
      for (const [at, trigger] of triggers.entries()) {
        if (!monitors.some((monitor) => monitor.name === trigger.name))
          return new Problem(`there is no resource monitor "${trigger.name}"`, {
            path: ['actions', index, 'triggers', at, 'name'],
          });
      }
    }
    return undefined;
  }),
);
export type OverloadManager = v.InferOutput<typeof OverloadManager>;
