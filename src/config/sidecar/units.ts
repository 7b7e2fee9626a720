import { isIP } from 'node:net';
import { Problem, type Schema } from '../schema/building-blocks.ts';
import { guessDuration } from '../schema/scalars.ts';
import { defineSchema, describe, runSchema, scalar } from '../schema/schema.ts';

/** Units as people write them; the output is what the canonical form wants. */

/** `250ms`, `5s`, `1m`, `2h`, or a number of seconds. Output as in the canonical form, `0.25s`. */
export function span(): Schema<string> {
  return scalar('span', 'a duration', (value) => {
    const written = typeof value === 'number' || typeof value === 'string' ? guessDuration(value) : undefined;
    return written ?? new Problem(`expected a duration, got ${describe(value)}`, { allowed: '250ms, 5s, 1m or 2h' });
  });
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  kB: 1000,
  MB: 1000 ** 2,
};

/** `64KiB`, `1MiB`, `2GiB`, or a number of bytes. */
export function size(): Schema<number> {
  return scalar('size', 'a size', (value) => {
    const match = /^(\d+)\s*([A-Za-z]*)$/.exec(String(value));
    const unit = match === null ? undefined : BYTES_PER_UNIT[match[2]!];
    if (unit === undefined)
      return new Problem(`expected a size, got ${describe(value)}`, { allowed: '65536, 64KiB, 1MiB or 2GiB' });
    return Number(match![1]) * unit;
  });
}

/** An address of the canonical form. */
export type CanonicalAddress =
  | { readonly socket_address: { readonly address: string; readonly port_value: number } }
  | { readonly pipe: { readonly path: string } };

/** `host:port`, `[::1]:port`, a port of the loopback, or a Unix socket as `unix:/path` or `/path`. */
export function address(): Schema<CanonicalAddress> {
  return scalar('address', 'an address', (value) => readAddress(value));
}

function readAddress(value: unknown): CanonicalAddress | Problem {
  const wrong = (message: string) => new Problem(message, { allowed: 'host:port, a port, or unix:/path' });
  if (typeof value === 'number') return socket('127.0.0.1', String(value)) ?? wrong(`${value} is not a port`);
  if (typeof value !== 'string') return wrong(`expected an address, got ${describe(value)}`);
  if (/^(unix:|[./])/.test(value)) return { pipe: { path: value.replace(/^unix:/, '') } };
  if (/^\d+$/.test(value)) return socket('127.0.0.1', value) ?? wrong(`${value} is not a port`);
  const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d+)$/.exec(value);
  if (match === null) return wrong(`${describe(value)} is not an address`);
  return socket(match[1] ?? match[2]!, match[3]!) ?? wrong(`${match[3]} is not a port`);
}

function socket(host: string, port: string): CanonicalAddress | undefined {
  const number = Number(port);
  return number <= 65535 ? { socket_address: { address: host, port_value: number } } : undefined;
}

/** True when the address needs the resolver. */
export function isHostName(canonical: CanonicalAddress): boolean {
  return 'socket_address' in canonical && isIP(canonical.socket_address.address) === 0;
}

/** A range of the canonical form. */
export interface CanonicalCidr {
  readonly address_prefix: string;
  readonly prefix_len: number;
}

/** `10.0.0.0/8`, or an address, which means itself alone. */
export function cidr(): Schema<CanonicalCidr> {
  return scalar('cidr', 'an address range', (value) => {
    const [host, length, ...rest] = String(value).split('/');
    const version = isIP(host ?? '');
    const bits = version === 4 ? 32 : 128;
    const prefix = length === undefined ? bits : Number(length);
    if (version === 0 || rest.length > 0 || length === '' || !Number.isInteger(prefix) || prefix < 0 || prefix > bits) {
      return new Problem(`${describe(value)} is not an address range`, { allowed: '10.0.0.0/8, ::1/128 or 192.0.2.7' });
    }
    return { address_prefix: host!, prefix_len: prefix };
  });
}

/** One item or a list of them. */
export function oneOrMany<Item>(item: Schema<Item>, many: Schema<Item[]>): Schema<Item[]> {
  return either(many, item, (value) => [value], Array.isArray);
}

/** Reads with `first` what `test` accepts, and everything else with `other`, changed by `convert`. */
export function either<Out, Other>(
  first: Schema<Out>,
  other: Schema<Other>,
  convert: (value: Other) => NoInfer<Out>,
  test: (value: unknown) => boolean,
): Schema<Out> {
  return defineSchema<Out>('either', `${first.expects} or ${other.expects}`, (input, dataset, config) => {
    const isFirst = test(input);
    const part = runSchema(isFirst ? first : other, input, config);
    dataset.issues = part.issues;
    dataset.typed = part.typed;
    dataset.value = isFirst || !part.typed ? part.value : convert(part.value as Other);
  });
}

/** A map, for {@link either}. */
export function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
