const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Value of a `grpc-timeout` header in milliseconds, rounded up; undefined when it is none. */
export function parseGrpcTimeoutMs(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? undefined : Math.ceil(Number(match[1]) * (UNIT_MS[match[2] as string] as number));
}

/** What a route makes of `grpc-timeout`; milliseconds. */
export interface GrpcTimeoutRules {
  /** Upper bound, 0 without one; undefined ignores the header. */
  readonly grpcTimeoutMaxMs: number | undefined;
  /** Subtracted, so that the caller hears of the end from the server rather than from its own clock. */
  readonly grpcTimeoutOffsetMs: number;
}

/** How long a call may last by its own `grpc-timeout`, 0 being not at all; undefined when the route or the call does not say. */
export function grpcDeadlineMs(rules: GrpcTimeoutRules, header: string | undefined): number | undefined {
  const { grpcTimeoutMaxMs: maxMs, grpcTimeoutOffsetMs: offsetMs } = rules;
  if (maxMs === undefined || header === undefined) return undefined;
  const askedMs = parseGrpcTimeoutMs(header);
  if (askedMs === undefined) return undefined;
  const boundedMs = maxMs > 0 && askedMs > maxMs ? maxMs : askedMs;
  return Math.max(boundedMs - offsetMs, 0);
}

const MAX_VALUE = 99_999_999;

/** The value of a `grpc-timeout` header: milliseconds, or what fits into eight digits. */
export function grpcTimeout(timeoutMs: number): string {
  const ms = Math.ceil(timeoutMs);
  if (ms <= MAX_VALUE) return `${ms}m`;
  if (ms / 1000 <= MAX_VALUE) return `${Math.floor(ms / 1000)}S`;
  if (ms / 60_000 <= MAX_VALUE) return `${Math.floor(ms / 60_000)}M`;
  return `${Math.min(Math.floor(ms / 3_600_000), MAX_VALUE)}H`;
}
