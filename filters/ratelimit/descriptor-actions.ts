import type { MetadataKey, RateLimitAction } from '../../src/config/schema/rate-limit.ts';
import type { HttpStream } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { compileHeaderMatchers } from '../../src/matching/header-matcher.ts';
import { compileQueryParameterMatcher, queryParameter } from '../../src/matching/query-parameter-matcher.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import { maskAddress } from './masked-address.ts';

/** The value of a descriptor's entry; null to go on without the entry, undefined to give the descriptor up. */
export type EntryValue = (request: RequestHead, stream: HttpStream) => string | null | undefined;

/** One action of a rate limit: it adds at most one entry to the descriptor. Texts are bytes in latin1, as on the wire. */
export interface DescriptorAction {
  readonly key: string;
  readonly value: EntryValue;
}

/**
 * Compiles one action of a rate limit, for the filters of every kind of rate limit.
 * @param sourceCluster the cluster of this proxy's own node
 */
export function compileAction(action: RateLimitAction, sourceCluster: string): DescriptorAction {
  if (action.generic_key !== undefined) {
    const { descriptor_key, descriptor_value } = action.generic_key;
    return constant(descriptor_key, descriptor_value);
  }
  if (action.source_cluster !== undefined) return constant('source_cluster', sourceCluster);
  if (action.destination_cluster !== undefined) return { key: 'destination_cluster', value: destinationCluster };
  if (action.remote_address !== undefined) return { key: 'remote_address', value: remoteAddress };
  if (action.masked_remote_address !== undefined) {
    const { v4_prefix_mask_len: v4Bits, v6_prefix_mask_len: v6Bits } = action.masked_remote_address;
    return {
      key: 'masked_remote_address',
      value: (_, { remoteAddress }) => maskAddress(remoteAddress, v4Bits, v6Bits),
    };
  }
  if (action.request_headers !== undefined) {
    const { header_name, descriptor_key, skip_if_absent } = action.request_headers;
    return read(descriptor_key, skip_if_absent, (request) => request.get(header_name));
  }
  if (action.query_parameters !== undefined) {
    const { query_parameter_name, descriptor_key, skip_if_absent } = action.query_parameters;
    const name = toWireText(query_parameter_name);
    return read(descriptor_key, skip_if_absent, (request) => percentDecoded(queryParameter(request.path, name)));
  }
  return compileMatchAction(action) ?? compileMetadataAction(action);
}

/** What is not well escaped stays as it is, as in Envoy. */
function percentDecoded(value: string | undefined): string | undefined {
  if (value === undefined || !value.includes('%')) return value;
  return value.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function constant(key: string, value: string): DescriptorAction {
  const text = toWireText(value);
  return { key: toWireText(key), value: () => text };
}

function destinationCluster(request: RequestHead, { route }: HttpStream): string {
  if (route === undefined) return '';
  return route.clusterHeader === '' ? route.clusterName : (request.get(route.clusterHeader) ?? '');
}

function remoteAddress(_: RequestHead, stream: HttpStream): string | undefined {
  return stream.remoteAddress === '' ? undefined : stream.remoteAddress;
}

function read(
  key: string,
  skipIfAbsent: boolean,
  find: (request: RequestHead, stream: HttpStream) => string | undefined,
): DescriptorAction {
  const absent = skipIfAbsent ? null : undefined;
  return { key: toWireText(key), value: (request, stream) => find(request, stream) ?? absent };
}

function compileMatchAction(action: RateLimitAction): DescriptorAction | undefined {
  if (action.header_value_match !== undefined) {
    const { descriptor_key, descriptor_value, expect_match, headers } = action.header_value_match;
    const matches = compileHeaderMatchers(headers) as (head: RequestHead) => boolean;
    const text = toWireText(descriptor_value);
    return {
      key: toWireText(descriptor_key),
      value: (request) => (matches(request) === expect_match ? text : undefined),
    };
  }
  if (action.query_parameter_value_match === undefined) return undefined;
  const { descriptor_key, descriptor_value, expect_match, query_parameters } = action.query_parameter_value_match;
  const tests = query_parameters.map(compileQueryParameterMatcher);
  const text = toWireText(descriptor_value);
  return {
    key: toWireText(descriptor_key),
    value: ({ path }) => (tests.every((matches) => matches(path)) === expect_match ? text : undefined),
  };
}

function compileMetadataAction(action: RateLimitAction): DescriptorAction {
  if (action.dynamic_metadata !== undefined) {
    const { descriptor_key, metadata_key, default_value } = action.dynamic_metadata;
    return metadataText(descriptor_key, default_value, false, (stream) => dynamicValue(stream, metadata_key));
  }
  const { descriptor_key, metadata_key, default_value, source, skip_if_absent } = action.metadata as NonNullable<
    RateLimitAction['metadata']
  >;
  const find =
    source === 'DYNAMIC'
      ? (stream: HttpStream) => dynamicValue(stream, metadata_key)
      : (stream: HttpStream) => walk(stream.route?.metadata[metadata_key.key], metadata_key);
  return metadataText(descriptor_key, default_value, skip_if_absent, find);
}

/** Only a string that is not empty counts, as in Envoy. */
function metadataText(
  key: string,
  defaultValue: string,
  skipIfAbsent: boolean,
  find: (stream: HttpStream) => unknown,
): DescriptorAction {
  const fallback = defaultValue === '' ? undefined : toWireText(defaultValue);
  return read(key, skipIfAbsent, (_, stream) => {
    const value = find(stream);
    return typeof value === 'string' && value !== '' ? toWireText(value) : fallback;
  });
}

/** What lies at a key of the stream's dynamic metadata; undefined when nothing does. */
export function dynamicValue(stream: HttpStream, key: MetadataKey): unknown {
  return walk(stream.getMetadata(key.key), key);
}

function walk(namespace: unknown, { path }: MetadataKey): unknown {
  let value = namespace;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment.key)) return undefined;
    value = (value as Record<string, unknown>)[segment.key];
  }
  return value;
}
