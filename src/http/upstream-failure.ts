import type { UpstreamResetReason } from './codec.ts';
import { FLAG } from './response-flags.ts';
import type { HttpStream } from './stream.ts';

/** What a client is told, and what the log says, when an upstream exchange failed before its response. */
export interface UpstreamFailure {
  readonly status: number;
  readonly flag: number;
  readonly body: string;
  readonly details: string;
}

/** Envoy's words for why an exchange ended. */
export const RESET_TEXT = {
  connection_failure: 'remote connection failure',
  connection_timeout: 'connection timeout',
  connection_termination: 'connection termination',
  overflow: 'overflow',
  remote_reset: 'remote reset',
  remote_refused: 'remote refused stream reset',
  protocol_error: 'protocol error',
  local_reset: 'local reset',
} as const;

const FLAGS = {
  connection_failure: FLAG.UF,
  connection_timeout: FLAG.UF,
  connection_termination: FLAG.UC,
  overflow: FLAG.UO,
  remote_reset: FLAG.UR,
  remote_refused: FLAG.UR,
  protocol_error: FLAG.UPE,
  local_reset: FLAG.LR,
} as const;

/** The one table from reset reasons to replies. `transportFailure` is what the connection attempt said. */
export function upstreamFailure(
  reason: UpstreamResetReason,
  transportFailure: string,
  retried: boolean,
): UpstreamFailure {
  const text = RESET_TEXT[reason];
  const transport = reason === 'connection_failure' ? transportFailure : '';
  const which = retried ? 'retried and the latest reset reason' : 'reset reason';
  const detail = transport === '' ? text : `${text}|${transport}`;
  return {
    status: reason === 'protocol_error' ? 502 : 503,
    flag: FLAGS[reason],
    body: `upstream connect error or disconnect/reset before headers. ${which}: ${text}`,
    details: `upstream_reset_before_response_started{${detail.replaceAll(' ', '_')}}`,
  };
}

/** Flag for an upstream that failed in the middle of its response. */
export function brokenResponseFlag(reason: UpstreamResetReason): number {
  return FLAGS[reason];
}

/** Tells the client that a circuit breaker was open, so that it does not try again at once. */
const OVERLOADED: Readonly<Record<string, string>> = Object.freeze({ 'x-envoy-overloaded': 'true' });

/** Headers of a reply of ours in the upstream's place. */
export function failureHeaders(stream: HttpStream, overloaded: boolean): Readonly<Record<string, string>> | undefined {
  const headers = overloaded ? OVERLOADED : undefined;
  if (stream.routeEntry?.includeAttemptCountInResponse !== true) return headers;
  return { ...headers, 'x-envoy-attempt-count': String(Math.max(1, stream.upstreamAttemptCount)) };
}
