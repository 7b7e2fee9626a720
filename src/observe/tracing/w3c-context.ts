import type { HeaderMap } from '../../http/headers.ts';
import type { OutgoingContext, ParentContext, Propagation } from './trace-context.ts';

/** W3C Trace Context (https://www.w3.org/TR/trace-context/): traceparent and tracestate. */

/** Version, trace id, parent id, flags; a later version may have more behind a dash. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** §3.3.1.1: a list has at most 32 members. */
const MAX_MEMBERS = 32;
/** §3.3.1.5: as much of a longer one should be kept at least. */
const MAX_STATE_LENGTH = 512;
/** §3.3.1.5: members above this length go first. */
const LONG_MEMBER = 128;

/** Undefined for a header that is not there, or that §3.2.2 calls invalid: such a trace is not continued. */
export function extractW3c(headers: HeaderMap): ParentContext | undefined {
  const at = headers.indexOf('traceparent');
  if (at < 0 || headers.indexOf('traceparent', at + 1) >= 0) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(headers.valueAt(at)) ?? [];
  if (version === '' || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  const sampled = (Number.parseInt(flags, 16) & 1) === 1;
  return { traceId, spanId, parentId: '', sampled, traceState: boundedState(headers.get('tracestate')), form: 'W3C' };
}

/** The state that is passed on: the list's first members, within what §3.3 allows. */
export function boundedState(state: string | undefined): string {
  if (state === undefined) return '';
  if (state.length <= LONG_MEMBER && !state.includes(',')) return state;
  let members = state
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
    .slice(0, MAX_MEMBERS);
  if (length(members) > MAX_STATE_LENGTH) members = members.filter((member) => member.length <= LONG_MEMBER);
  while (length(members) > MAX_STATE_LENGTH) members.pop();
  return members.join(',');
}

function length(members: readonly string[]): number {
  let sum = Math.max(0, members.length - 1);
  for (const member of members) sum += member.length;
  return sum;
}

export function injectW3c(headers: HeaderMap, context: OutgoingContext): void {
  const traceId = context.traceId.length === 32 ? context.traceId : context.traceId.padStart(32, '0');
  const value = `00-${traceId}-${context.spanId}-${context.sampled ? '01' : '00'}`;
  // Of what was made here nothing needs to be checked.
  if (headers.indexOf('traceparent') < 0) headers.append('traceparent', value);
  else headers.set('traceparent', value);
  if (context.traceState !== '') headers.set('tracestate', context.traceState);
  else headers.remove('tracestate');
}

export const W3C: Propagation = { extract: extractW3c, inject: injectW3c };
