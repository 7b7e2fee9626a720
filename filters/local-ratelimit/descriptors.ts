import type { HttpStream } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import type { AnyRateLimit } from '../ratelimit/applicable-limits.ts';
import { compileAction, type DescriptorAction } from '../ratelimit/descriptor-actions.ts';

/** A request's descriptor: keys and their values in order, as one text, so that equal descriptors are equal texts. */
export type DescribeRequest = (request: RequestHead, stream: HttpStream) => string | undefined;

/** Between keys and values; no header holds it. */
const SEPARATOR = '\0';

/** The text of a descriptor. */
export function descriptorText(entries: readonly { key: string; value: string }[]): string {
  return entries.map(({ key, value }) => entryText(key, toWireText(value))).join('');
}

function entryText(key: string, value: string): string {
  return key + SEPARATOR + value + SEPARATOR;
}

/** The keys and values of a descriptor's text, one after the other. */
export function descriptorParts(text: string): string[] {
  return text.split(SEPARATOR).slice(0, -1);
}

/**
 * Compiles a rate limit into a function that describes a request; undefined when one of the actions finds nothing, as
 * then the limit does not concern the request.
 */
export function compileRateLimit(config: AnyRateLimit, sourceCluster: string): DescribeRequest {
  const actions = config.actions.map((action) => compileAction(action, sourceCluster));
  return (request, stream) => {
    let text = '';
    for (let i = 0; i < actions.length; i++) {
      const { key, value } = actions[i] as DescriptorAction;
      const found = value(request, stream);
      if (found === undefined) return undefined;
      if (found !== null) text += entryText(key, found);
    }
    return text === '' ? undefined : text;
  };
}
