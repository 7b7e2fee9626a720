import type { TracingProvider } from '../../config/schema/tracing.ts';
import { createTracer, type Tracer, type TracerEnv } from './tracer.ts';

/** A tracer that somebody uses. Let go of by its last user, it sends what waits. */
export interface TracerLease {
  readonly tracer: Tracer;
  release(): void;
}

/** What a proxy waits for at its end. */
export type ProxyEnd = Set<() => Promise<void>>;

interface Shared {
  readonly tracer: Tracer;
  users: number;
}

/** How long the last spans may take. */
const LAST_FLUSH_MS = 2000;

/** Tracers of each thread's proxy by configuration: connection managers that say the same share one queue. */
const byOwner = new WeakMap<object, Map<string, Shared>>();
/** Queues that nobody uses any more, while they send their last spans. */
const closing = new WeakMap<object, Set<Promise<void>>>();

/** @param owner whose end waits for the last spans */
export function leaseTracer(owner: ProxyEnd, provider: TracingProvider, env: TracerEnv): TracerLease {
  let tracers = byOwner.get(owner);
  if (tracers === undefined) {
    tracers = new Map<string, Shared>();
    byOwner.set(owner, tracers);
    owner.add(() => tracersClosed(owner));
  }
  const key = JSON.stringify(provider);
  const shared = tracers.get(key) ?? { tracer: createTracer(provider, env), users: 0 };
  tracers.set(key, shared);
  shared.users++;
  let isReleased = false;
  return {
    tracer: shared.tracer,
    release: () => {
      if (isReleased) return;
      isReleased = true;
      if (--shared.users > 0) return;
      tracers.delete(key);
      close(owner, shared.tracer);
    },
  };
}

function close(owner: object, tracer: Tracer): void {
  const pending = closing.get(owner) ?? new Set<Promise<void>>();
  closing.set(owner, pending);
  const closed = tracer.spans.close(LAST_FLUSH_MS).finally(() => pending.delete(closed));
  pending.add(closed);
}

/** Waits for the last spans of tracers that were let go of: as long as they take, at most two seconds. */
async function tracersClosed(owner: object): Promise<void> {
  await Promise.all(closing.get(owner) ?? []);
}
