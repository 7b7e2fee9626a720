/** Of the messages, and of what the maps look like (`DIRECTION`, the sizes): both ends must have the same. */
export const AGENT_VERSION = 1;

export const AGENT_LIMITS = { timeoutMs: 2000, maxPayloadBytes: 4096 } as const;

/** What a sidecar sends: it wants a set of maps. */
export interface AgentRequest {
  readonly version: number;
}

/** What it gets: the descriptors of slots, sockets, directions and notices beside this, or the reason for none. */
export interface AgentAnswer {
  readonly version: number;
  readonly problem?: string;
}

/** The message, or undefined when it is none. */
export function readAgentMessage(payload: Buffer): { readonly version: number; readonly problem?: string } | undefined {
  try {
    const message: unknown = JSON.parse(payload.toString());
    if (typeof message !== 'object' || message === null) return undefined;
    const { version, problem } = message as { version?: unknown; problem?: unknown };
    if (typeof version !== 'number') return undefined;
    return typeof problem === 'string' ? { version, problem } : { version };
  } catch {
    return undefined;
  }
}
