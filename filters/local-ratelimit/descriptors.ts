import type { HttpStream } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { compileHeaderMatchers } from '../../src/matching/header-matcher.ts';
import { compileQueryParameterMatcher, queryParameter } from '../../src/matching/query-parameter-matcher.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import type { RateLimit, RateLimitAction } from './schema.ts';

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
export function compileRateLimit(config: RateLimit, sourceCluster: string): DescribeRequest {
  const actions = config.actions.map((action) => compileAction(action, sourceCluster));
  return (request, stream) => {
    let text = '';
    for (let i = 0; i < actions.length; i++) {
      const part = (actions[i] as DescribeRequest)(request, stream);
      if (part === undefined) return undefined;
      text += part;
    }
    return text === '' ? undefined : text;
  };
}

/** An entry's text; '' to go on without an entry, undefined to give the descriptor up. */
function compileAction(action: RateLimitAction, sourceCluster: string): DescribeRequest {
  if (action.generic_key !== undefined) {
    const { descriptor_key, descriptor_value } = action.generic_key;
    const text = entryText(descriptor_key, toWireText(descriptor_value));
    return () => text;
  }
  if (action.source_cluster !== undefined) {
    const text = entryText('source_cluster', sourceCluster);
    return () => text;
  }
  if (action.destination_cluster !== undefined) {
    return (_, stream) => entryText('destination_cluster', stream.route?.clusterName ?? '');
  }
  if (action.remote_address !== undefined) {
    return (_, stream) => (stream.remoteAddress === '' ? undefined : entryText('remote_address', stream.remoteAddress));
  }
  if (action.request_headers !== undefined) {
    const { header_name, descriptor_key, skip_if_absent } = action.request_headers;
    return valueAction(descriptor_key, skip_if_absent, (request) => request.get(header_name));
  }
  if (action.query_parameters !== undefined) {
    const { query_parameter_name, descriptor_key, skip_if_absent } = action.query_parameters;
    const name = toWireText(query_parameter_name);
    return valueAction(descriptor_key, skip_if_absent, (request) => queryParameter(request.path, name));
  }
  return compileMatchAction(action);
}

function valueAction(
  key: string,
  skipIfAbsent: boolean,
  read: (request: RequestHead) => string | undefined,
): DescribeRequest {
  const absent = skipIfAbsent ? '' : undefined;
  return (request) => {
    const value = read(request);
    return value === undefined ? absent : entryText(key, value);
  };
}

function compileMatchAction(action: RateLimitAction): DescribeRequest {
  if (action.header_value_match !== undefined) {
    const { descriptor_key, descriptor_value, expect_match, headers } = action.header_value_match;
    const matches = compileHeaderMatchers(headers) as (head: RequestHead) => boolean;
    const text = entryText(descriptor_key, toWireText(descriptor_value));
    return (request) => (matches(request) === expect_match ? text : undefined);
  }
  const { descriptor_key, descriptor_value, expect_match, query_parameters } =
    action.query_parameter_value_match as NonNullable<RateLimitAction['query_parameter_value_match']>;
  const tests = query_parameters.map(compileQueryParameterMatcher);
  const text = entryText(descriptor_key, toWireText(descriptor_value));
  return (request) => (tests.every((matches) => matches(request.path)) === expect_match ? text : undefined);
}
