import { isUtf8 } from 'node:buffer';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/**
 * envoy.service.ratelimit.v3.RateLimitRequest in the wire format of protocol buffers. Of its parts:
 *
 *     message RateLimitRequest    { string domain = 1; repeated RateLimitDescriptor descriptors = 2; uint32 hits_addend = 3; }
 *     message RateLimitDescriptor { repeated Entry entries = 1; RateLimitOverride limit = 2; google.protobuf.UInt64Value hits_addend = 3; }
 *     message Entry               { string key = 1; string value = 2; }
 *     message RateLimitOverride   { uint32 requests_per_unit = 1; RateLimitUnit unit = 2; }
 */

/** Path of the one method of the service. */
export const SHOULD_RATE_LIMIT = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';

/** Numbers of envoy.type.v3.RateLimitUnit, which RateLimitResponse.RateLimit.Unit has too, by name. */
export const RATE_LIMIT_UNIT: Readonly<Record<string, number>> = {
  UNKNOWN: 0,
  SECOND: 1,
  MINUTE: 2,
  HOUR: 3,
  DAY: 4,
  MONTH: 5,
  YEAR: 6,
  WEEK: 7,
};

/** Seconds of each unit by its number, as Envoy counts them; 0 for an unknown one. */
export const UNIT_SECONDS: readonly number[] = [0, 1, 60, 3600, 86_400, 2_592_000, 31_536_000, 604_800];

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** A limit that the request itself brings, in place of the service's own. */
export interface LimitOverride {
  readonly requestsPerUnit: number;
  /** Number of a `RATE_LIMIT_UNIT`. */
  readonly unit: number;
}

export interface RequestDescriptor {
  readonly entries: readonly DescriptorEntry[];
  readonly limit: LimitOverride | undefined;
  /** Undefined leaves it to the request's. */
  readonly hitsAddend: number | undefined;
}

export interface RateLimitRequest {
  readonly domain: string;
  readonly descriptors: readonly RequestDescriptor[];
  /** 0 counts as 1. */
  readonly hitsAddend: number;
}

const NON_ASCII = /[\x80-\xff]/;
/** Up to here a loop over the characters beats the search of a regular expression. */
const SHORT_TEXT = 24;

function isAscii(latin1: string): boolean {
  if (latin1.length > SHORT_TEXT) return !NON_ASCII.test(latin1);
  for (let i = 0; i < latin1.length; i++) if (latin1.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** Builds requests, one after the other. Texts are bytes in latin1; what is not UTF-8 in them is replaced, since no service would read it. */
export class RateLimitRequestWriter {
  private readonly writer = new WireWriter();
  private descriptorStart = 0;

  begin(domain: string): void {
    this.writer.begin();
    this.writer.latin1Field(1, domain);
  }

  openDescriptor(): void {
    this.descriptorStart = this.writer.open(2);
  }

  /** @param key is ASCII or UTF-8 */
  entry(key: string, value: string): void {
    const { writer } = this;
    const start = writer.open(1);
    writer.latin1Field(1, key);
    writer.latin1Field(2, isAscii(value) ? value : utf8Bytes(value));
    writer.close(start);
  }

  closeDescriptor(limit: LimitOverride | undefined, hitsAddend: number | undefined): void {
    const { writer } = this;
    if (limit !== undefined) {
      const start = writer.open(2);
      writer.varintField(1, limit.requestsPerUnit);
      writer.varintField(2, limit.unit);
      writer.close(start);
    }
    if (hitsAddend !== undefined) {
      const start = writer.open(3);
      writer.varintField(1, hitsAddend);
      writer.close(start);
    }
    writer.close(this.descriptorStart);
  }

  /** @param hitsAddend 0 leaves it to the service, which counts 1 */
  finish(hitsAddend: number): Buffer {
    if (hitsAddend > 0) this.writer.varintField(3, hitsAddend);
    return this.writer.finish();
  }
}

function utf8Bytes(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? latin1 : Buffer.from(bytes.toString('utf8'), 'utf8').toString('latin1');
}

/** @throws WireError */
export function readRateLimitRequest(message: Buffer): RateLimitRequest {
  const reader = new WireReader(message);
  const descriptors: RequestDescriptor[] = [];
  let domain = '';
  let hitsAddend = 0;
  while (reader.next()) {
    if (reader.field === 1) domain = reader.text();
    else if (reader.field === 2) descriptors.push(readDescriptor(reader.message()));
    else if (reader.field === 3) hitsAddend = reader.varint();
    else reader.skip();
  }
  return { domain, descriptors, hitsAddend };
}

function readDescriptor(reader: WireReader): RequestDescriptor {
  const entries: DescriptorEntry[] = [];
  let limit: LimitOverride | undefined;
  let hitsAddend: number | undefined;
  while (reader.next()) {
    if (reader.field === 1) {
      const [key, value] = readPair(reader.message());
      entries.push({ key, value });
    } else if (reader.field === 2) {
      const [requestsPerUnit, unit] = readNumbers(reader.message());
      limit = { requestsPerUnit, unit };
    } else if (reader.field === 3) [hitsAddend] = readNumbers(reader.message());
    else reader.skip();
  }
  return { entries, limit, hitsAddend };
}

/** Texts of fields 1 and 2. */
function readPair(reader: WireReader): [string, string] {
  const pair: [string, string] = ['', ''];
  while (reader.next()) {
    if (reader.field === 1) pair[0] = reader.text();
    else if (reader.field === 2) pair[1] = reader.text();
    else reader.skip();
  }
  return pair;
}

/** Numbers of fields 1 and 2. */
function readNumbers(reader: WireReader): [number, number] {
  const numbers: [number, number] = [0, 0];
  while (reader.next()) {
    if (reader.field === 1) numbers[0] = reader.varint();
    else if (reader.field === 2) numbers[1] = reader.varint();
    else reader.skip();
  }
  return numbers;
}
