import type { HeaderMap } from '../../http/headers.ts';
import type { OutgoingContext, ParentContext, Propagation } from './trace-context.ts';
import { extractW3c, injectW3c } from './w3c-context.ts';

/** B3 propagation (https://github.com/openzipkin/b3-propagation): one header, or several `x-b3-` ones. */

const TRACE_ID = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/;
const SPAN_ID = /^[0-9a-f]{16}$/;
const ZEROS = /^0+$/;
/** Trace id, span id, and perhaps the decision, and behind that the parent. */
const SINGLE = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-([0-9a-f]{16}))?)?$/;
const MULTI_NAMES = ['x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled'] as const;

function extractB3(headers: HeaderMap): ParentContext | undefined {
  const single = headers.get('b3');
  if (single !== undefined) return readSingle(single.toLowerCase());
  return readMulti(headers);
}

function readSingle(text: string): ParentContext | undefined {
  if (text === '0' || text === '1' || text === 'd') return decisionOnly(text !== '0', 'B3_SINGLE');
  const [, traceId = '', spanId = '', decision, parentId = ''] = SINGLE.exec(text) ?? [];
  if (traceId === '' || ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  const sampled = decision === undefined ? undefined : decision !== '0';
  return { traceId, spanId, parentId, sampled, traceState: '', form: 'B3_SINGLE' };
}

function readMulti(headers: HeaderMap): ParentContext | undefined {
  const traceId = headers.get('x-b3-traceid')?.toLowerCase();
  const spanId = headers.get('x-b3-spanid')?.toLowerCase();
  const sampled = readDecision(headers);
  if (traceId === undefined && spanId === undefined)
    return sampled === undefined ? undefined : decisionOnly(sampled, 'B3_MULTI');
  const parentId = headers.get('x-b3-parentspanid')?.toLowerCase() ?? '';
  if (!TRACE_ID.test(traceId ?? '') || !SPAN_ID.test(spanId ?? '') || (parentId !== '' && !SPAN_ID.test(parentId)))
    return undefined;
  if (ZEROS.test(traceId as string) || ZEROS.test(spanId as string)) return undefined;
  return {
    traceId: traceId as string,
    spanId: spanId as string,
    // All zeros are no span.
    parentId: ZEROS.test(parentId) ? '' : parentId,
    sampled,
    traceState: '',
    form: 'B3_MULTI',
  };
}

/** The debug flag means sampled. `true` and `false` were written by early tracers. */
function readDecision(headers: HeaderMap): boolean | undefined {
  if (headers.get('x-b3-flags') === '1') return true;
  switch (headers.get('x-b3-sampled')) {
    case '1':
    case 'true':
      return true;
    case '0':
    case 'false':
      return false;
    default:
      return undefined;
  }
}

function decisionOnly(sampled: boolean, form: 'B3_SINGLE' | 'B3_MULTI'): ParentContext {
  return { traceId: '', spanId: '', parentId: '', sampled, traceState: '', form };
}

/** In the form in which the request's own context came; several headers where it had none. */
function injectB3(headers: HeaderMap, context: OutgoingContext): void {
  const decision = context.sampled ? '1' : '0';
  if (context.form === 'B3_SINGLE') {
    const parent = context.parentId === '' ? '' : `-${context.parentId}`;
    headers.set('b3', `${context.traceId}-${context.spanId}-${decision}${parent}`);
    for (const name of MULTI_NAMES) headers.remove(name);
    return;
  }
  headers.remove('b3');
  headers.set('x-b3-traceid', context.traceId);
  headers.set('x-b3-spanid', context.spanId);
  if (context.parentId !== '') headers.set('x-b3-parentspanid', context.parentId);
  else headers.remove('x-b3-parentspanid');
  headers.set('x-b3-sampled', decision);
}

export const B3: Propagation = { extract: extractB3, inject: injectB3 };

/** Envoy's USE_B3_WITH_W3C_PROPAGATION: B3 is preferred where both came, and both leave. */
export const B3_AND_W3C: Propagation = {
  extract: (request) => extractB3(request) ?? extractW3c(request),
  inject: (request, context) => {
    injectB3(request, context);
    injectW3c(request, context);
  },
};
