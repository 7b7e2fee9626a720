import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/**
 * envoy.service.ratelimit.v3.RateLimitResponse in the wire format of protocol buffers. Of its parts:
 *
 *     message RateLimitResponse { Code overall_code = 1; repeated DescriptorStatus statuses = 2;
 *       repeated HeaderValue response_headers_to_add = 3; repeated HeaderValue request_headers_to_add = 4;
 *       bytes raw_body = 5; google.protobuf.Struct dynamic_metadata = 6; }
 *     message DescriptorStatus  { Code code = 1; RateLimit current_limit = 2; uint32 limit_remaining = 3;
 *       google.protobuf.Duration duration_until_reset = 4; }
 *     message RateLimit         { uint32 requests_per_unit = 1; Unit unit = 2; string name = 3; }
 *     message HeaderValue       { string key = 1; string value = 2; bytes raw_value = 3; }
 */

/** RateLimitResponse.Code. */
export const RATE_LIMIT_CODE = { UNKNOWN: 0, OK: 1, OVER_LIMIT: 2 } as const;

export interface CurrentLimit {
  readonly requestsPerUnit: number;
  /** Number of a `RATE_LIMIT_UNIT`. */
  readonly unit: number;
  readonly name: string;
}

export interface DescriptorStatus {
  readonly code: number;
  /** Undefined when no limit concerns the descriptor. */
  readonly currentLimit: CurrentLimit | undefined;
  readonly remaining: number;
  /** Whole seconds until the window ends. */
  readonly resetSeconds: number;
}

/** Name and value in latin1. */
export type AddedHeader = readonly [name: string, value: string];

export interface RateLimitResponse {
  readonly overallCode: number;
  readonly statuses: readonly DescriptorStatus[];
  readonly responseHeaders: readonly AddedHeader[];
  readonly requestHeaders: readonly AddedHeader[];
  /** '' without one. */
  readonly body: string;
  /** A serialized google.protobuf.Struct; undefined without one. */
  readonly metadata: Buffer | undefined;
}

const NONE: readonly never[] = Object.freeze([]);
const PLAIN_OK: RateLimitResponse = Object.freeze({
  overallCode: RATE_LIMIT_CODE.OK,
  statuses: NONE,
  responseHeaders: NONE,
  requestHeaders: NONE,
  body: '',
  metadata: undefined,
});

/** Most answers have none of what there may be many of. */
function withOne<T>(list: T[] | undefined, item: T): T[] {
  if (list === undefined) return [item];
  list.push(item);
  return list;
}

/**
 * @param withStatuses false passes the statuses of the descriptors over
 * @throws WireError
 */
export function readRateLimitResponse(message: Buffer, withStatuses: boolean): RateLimitResponse {
  const reader = new WireReader(message);
  let statuses: DescriptorStatus[] | undefined;
  let responseHeaders: AddedHeader[] | undefined;
  let requestHeaders: AddedHeader[] | undefined;
  let overallCode = 0;
  let body = '';
  let metadata: Buffer | undefined;
  let isPlain = true;
  while (reader.next()) {
    if (reader.field === 1) overallCode = reader.varint();
    else if (reader.field === 2 && !withStatuses) reader.skip();
    else {
      isPlain = false;
      if (reader.field === 2) statuses = withOne(statuses, readStatus(reader.message()));
      else if (reader.field === 3) responseHeaders = withOne(responseHeaders, readHeader(reader.message()));
      else if (reader.field === 4) requestHeaders = withOne(requestHeaders, readHeader(reader.message()));
      else if (reader.field === 5) body = reader.text();
      else if (reader.field === 6) metadata = reader.bytes();
      else reader.skip();
    }
  }
  if (isPlain && overallCode === RATE_LIMIT_CODE.OK) return PLAIN_OK;
  return {
    overallCode,
    statuses: statuses ?? NONE,
    responseHeaders: responseHeaders ?? NONE,
    requestHeaders: requestHeaders ?? NONE,
    body,
    metadata,
  };
}

function readStatus(reader: WireReader): DescriptorStatus {
  let code = 0;
  let currentLimit: CurrentLimit | undefined;
  let remaining = 0;
  let resetSeconds = 0;
  while (reader.next()) {
    if (reader.field === 1) code = reader.varint();
    else if (reader.field === 2) currentLimit = readLimit(reader.message());
    else if (reader.field === 3) remaining = reader.varint();
    else if (reader.field === 4) resetSeconds = readSeconds(reader.message());
    else reader.skip();
  }
  return { code, currentLimit, remaining, resetSeconds };
}

function readLimit(reader: WireReader): CurrentLimit {
  let requestsPerUnit = 0;
  let unit = 0;
  let name = '';
  while (reader.next()) {
    if (reader.field === 1) requestsPerUnit = reader.varint();
    else if (reader.field === 2) unit = reader.varint();
    else if (reader.field === 3) name = reader.latin1();
    else reader.skip();
  }
  return { requestsPerUnit, unit, name };
}

function readSeconds(reader: WireReader): number {
  let seconds = 0;
  while (reader.next()) {
    if (reader.field === 1) seconds = reader.varint();
    else reader.skip();
  }
  return seconds;
}

function readHeader(reader: WireReader): AddedHeader {
  let name = '';
  let value = '';
  while (reader.next()) {
    if (reader.field === 1) name = reader.latin1();
    else if (reader.field === 2 || reader.field === 3) value = reader.latin1() || value;
    else reader.skip();
  }
  return [name, value];
}

/** Builds responses, one after the other. */
export class RateLimitResponseWriter {
  private readonly writer = new WireWriter();

  write(overallCode: number, statuses: readonly DescriptorStatus[]): Buffer {
    const { writer } = this;
    writer.begin();
    writer.varintField(1, overallCode);
    for (const { code, currentLimit, remaining, resetSeconds } of statuses) {
      const start = writer.open(2);
      writer.varintField(1, code);
      if (currentLimit !== undefined) this.limit(currentLimit);
      if (remaining > 0) writer.varintField(3, remaining);
      if (currentLimit !== undefined) {
        const duration = writer.open(4);
        if (resetSeconds > 0) writer.varintField(1, resetSeconds);
        writer.close(duration);
      }
      writer.close(start);
    }
    return writer.finish();
  }

  private limit({ requestsPerUnit, unit, name }: CurrentLimit): void {
    const { writer } = this;
    const start = writer.open(2);
    if (requestsPerUnit > 0) writer.varintField(1, requestsPerUnit);
    if (unit > 0) writer.varintField(2, unit);
    if (name !== '') writer.bytesField(3, Buffer.from(name, 'utf8'));
    writer.close(start);
  }
}
