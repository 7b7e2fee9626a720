import { GRPC_NAMES } from '../../http/grpc/status.ts';
import type { HeaderMap } from '../../http/headers.ts';
import type { StreamInfo } from '../stream-info.ts';
import type { Field, FieldFactory } from './field.ts';
import { GRPC_CAMEL_NAMES, grpcStatusOf } from './grpc-status.ts';

type HeadOf = (info: StreamInfo) => HeaderMap | undefined;

/** `X` or `X?Y`: the first of two headers that is there. Names are compared without case. */
function headerField(head: HeadOf): FieldFactory {
  return (argument) => {
    const [first, second] = headerNames(argument);
    if (second === undefined) return (info) => head(info)?.get(first);
    return (info) => {
      const headers = head(info);
      return headers?.get(first) ?? headers?.get(second);
    };
  };
}

function headerNames(argument: string | undefined): [first: string, second: string | undefined] {
  const names = (argument ?? '').toLowerCase().split('?');
  const [first, second] = names;
  if (first === undefined || first === '' || names.length > 2)
    throw new Error('needs (HEADER) or (HEADER?ALTERNATIVE)');
  return [first, second === '' ? undefined : second];
}

/** A header whose value is a target, without its query; Envoy's formatter extension of that name. */
const requestWithoutQuery: FieldFactory = (argument) => {
  const field = headerField((info) => info.request)(argument);
  return (info, context) => {
    const value = field(info, context);
    return typeof value === 'string' ? withoutQuery(value) : undefined;
  };
};

function withoutQuery(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

function queryOf(target: string): string | undefined {
  const query = target.indexOf('?');
  if (query < 0) return undefined;
  const fragment = target.indexOf('#', query);
  return fragment < 0 ? target.slice(query + 1) : target.slice(query + 1, fragment);
}

const PATH_SOURCES: Readonly<Record<string, (info: StreamInfo) => string | undefined>> = {
  ORIG: (info) => info.request?.get('x-envoy-original-path'),
  PATH: (info) => info.request?.path,
  ORIG_OR_PATH: (info) => info.request?.get('x-envoy-original-path') ?? info.request?.path,
};

/** `PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH)`; both may be left out. */
const path: FieldFactory = (argument) => {
  const [query = 'WQ', source = 'ORIG_OR_PATH'] = (argument ?? '').split(':').filter((part) => part !== '');
  const read = PATH_SOURCES[source];
  if ((query !== 'WQ' && query !== 'NQ') || read === undefined) {
    throw new Error('needs (WQ|NQ) or (WQ|NQ:ORIG|PATH|ORIG_OR_PATH)');
  }
  if (query === 'WQ') return read;
  return (info) => {
    const target = read(info);
    return target === undefined ? undefined : withoutQuery(target);
  };
};

/** One parameter of the query, as it was sent (not decoded). */
const queryParam: FieldFactory = (argument) => {
  if (argument === undefined || argument === '') throw new Error('needs (PARAMETER)');
  const prefix = `${argument}=`;
  return (info) => {
    const query = queryOf(info.request?.path ?? '');
    if (query === undefined) return undefined;
    for (const pair of query.split('&')) if (pair.startsWith(prefix)) return pair.slice(prefix.length);
    return undefined;
  };
};

const queryParams: FieldFactory = (argument) => {
  const read = PATH_SOURCES[argument ?? 'ORIG_OR_PATH'];
  if (read === undefined) throw new Error('needs (ORIG|PATH|ORIG_OR_PATH)');
  return (info) => queryOf(read(info) ?? '');
};

const grpcStatus: FieldFactory = (argument) => {
  if (argument === 'NUMBER') return grpcStatusOf;
  const names = argument === undefined || argument === 'CAMEL_STRING' ? GRPC_CAMEL_NAMES : GRPC_NAMES;
  if (names === GRPC_NAMES && argument !== 'SNAKE_STRING') throw new Error('needs (CAMEL_STRING|SNAKE_STRING|NUMBER)');
  return (info) => {
    const status = grpcStatusOf(info);
    return status === undefined ? undefined : (names[status] ?? String(status));
  };
};

function noArgument(field: Field): FieldFactory {
  return (argument) => {
    if (argument !== undefined) throw new Error('takes no argument');
    return field;
  };
}

/** Operators that read the messages of a stream. */
export const HEADER_OPERATORS: Readonly<Record<string, FieldFactory>> = {
  REQ: headerField((info) => info.request),
  RESP: headerField((info) => info.response),
  TRAILER: headerField((info) => info.responseTrailers),
  REQUEST_HEADER: headerField((info) => info.request),
  RESPONSE_HEADER: headerField((info) => info.response),
  RESPONSE_TRAILER: headerField((info) => info.responseTrailers),
  REQ_WITHOUT_QUERY: requestWithoutQuery,
  PATH: path,
  QUERY_PARAM: queryParam,
  QUERY_PARAMS: queryParams,
  GRPC_STATUS: grpcStatus,
  GRPC_STATUS_NUMBER: noArgument(grpcStatusOf),
  STREAM_ID: noArgument((info) => info.request?.get('x-request-id')),
};
