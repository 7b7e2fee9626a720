import { networkInterfaces } from 'node:os';
import { type Case, FACETS, type Facet } from './case.ts';
import { type ClientRecord, PROBE_HOST } from './client.ts';
import type { Message } from './message.ts';
import { requestsOf, type UpstreamConnection } from './recording-upstream.ts';

/** What one proxy did about a case, in a form that can be compared. */
export type Observation = Record<Facet, unknown>;

/** Headers whose value is another one each time. */
const CHANGING = new Set(['date', 'x-envoy-upstream-service-time']);
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** What is left of a route's time is another number each time; the first attempt has all of it. */
function isChanging(name: string, line: string): boolean {
  return CHANGING.has(name) || (name === 'x-envoy-expected-rq-timeout-ms' && /: (149\d\d|15000)$/.test(line));
}

export interface LogLine {
  /** The client's port and the listener's: together they name the case. */
  readonly port: number;
  readonly listenerPort: number;
  /** Ports are used again: the time tells whose this is. */
  readonly startTimeEpochMs: number;
  readonly authority: string;
  readonly codeAndFlags: string;
  readonly details: string;
  /** Other fields. */
  readonly rest: string;
}

export function readLog(text: string): LogLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [address = '', listenerPort, startTime, authority = '', codeAndFlags = '', details = '', rest = ''] =
        line.split('\t');
      const port = Number(address.slice(address.lastIndexOf(':') + 1));
      const startTimeEpochMs = Number(startTime);
      return { port, listenerPort: Number(listenerPort), startTimeEpochMs, authority, codeAndFlags, details, rest };
    });
}

/** @param ports of the proxy's own listener and of its upstream, which differ between the two */
export function observe(
  exchange: Case,
  client: ClientRecord,
  upstream: readonly UpstreamConnection[],
  log: readonly LogLine[],
  ports: readonly number[],
): Observation {
  const lines = log.filter(
    (line) =>
      line.listenerPort === ports[0] &&
      line.port === client.port &&
      line.startTimeEpochMs >= client.startTimeEpochMs &&
      line.startTimeEpochMs <= client.endTimeEpochMs &&
      line.authority !== PROBE_HOST,
  );
  const plain = (value: unknown) => withoutPorts(value, ports);
  return {
    status: client.responses.map((message) => message.startLine),
    headers: plain(client.responses.map((message) => headersOf(message.headers, exchange.order === true))),
    body: plain([...client.responses.map(bodyOf), ...(client.rest === '' ? [] : [{ rest: client.rest }])]),
    fate: client.fate,
    upstream: plain(upstream.filter(({ bytes }) => bytes !== '').map((connection) => requests(connection, exchange))),
    upstreamFate: upstream.filter(({ bytes }) => bytes !== '').map(({ fate }) => fate),
    flags: lines.map((line) => line.codeAndFlags),
    details: plain(lines.map((line) => line.details)),
    log: plain(lines.map((line) => line.rest)),
  };
}

function requests(connection: UpstreamConnection, exchange: Case): unknown[] {
  return requestsOf(connection.bytes).map((message) => ({
    line: message.startLine,
    headers: headersOf(message.headers, exchange.order === true),
    ...bodyOf(message),
  }));
}

function bodyOf({ framing, body, trailers, complete }: Message): object {
  return {
    framing,
    body: body.length > 400 ? `${body.length} bytes, ${body.slice(0, 40)}…` : body,
    trailers,
    complete,
  };
}

/** Sorted by name; lines of the same name keep their order. */
function headersOf(headers: readonly string[], inOrder: boolean): string[] {
  const masked = headers.map((line) => {
    const name = line.slice(0, line.indexOf(':'));
    const value = isChanging(name.toLowerCase(), line) ? ' *' : line.slice(name.length + 1).replaceAll(UUID, 'UUID');
    // Envoy names the tags of an address in no particular order.
    if (name === 'x-envoy-ip-tags') return { name, line: `${name}: ${value.trim().split(',').sort()}` };
    return { name, line: `${name}:${value.length > 200 ? `${value.length} bytes` : value}` };
  });
  if (!inOrder) masked.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return masked.map(({ line }) => line);
}

function withoutPorts(value: unknown, ports: readonly number[]): unknown {
  let text = JSON.stringify(value);
  ports.forEach((port, index) => {
    text = text.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), `PORT${index}`);
  });
  return JSON.parse(text);
}

/** Ids of the differences that are so frequent that no case names them. */
export const NAMED_FAULTS = 'named-faults';
export const OWN_ADDRESS = 'own-address';
export const REFUSED_HEADS = 'refused-heads';

/** The address of this machine, which Envoy appends to x-forwarded-for in place of a peer's loopback address. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

function withLoopback(text: string): string {
  return ownAddress === undefined ? text : text.replaceAll(ownAddress, '127.0.0.1');
}

/** Whether Envoy forwarded the machine's address; true also where the machine has none but the loopback. */
export function forwardsOwnAddress(envoy: Observation): boolean {
  return ownAddress === undefined || JSON.stringify(envoy.upstream).includes(ownAddress);
}

/** The facets in which two observations differ, with both values. */
export type Differences = Partial<Record<Facet, { envoy: unknown; outrigger: unknown }>>;

export function differencesOf(envoy: Observation, outrigger: Observation): Differences {
  const found: Differences = {};
  for (const facet of FACETS) {
    if (withLoopback(JSON.stringify(envoy[facet])) === JSON.stringify(outrigger[facet])) continue;
    if (facet === 'details' && namesTheFault(envoy, outrigger)) continue;
    if (facet === 'log' && tellsMoreOfRefused(envoy, outrigger)) continue;
    found[facet] = { envoy: envoy[facet], outrigger: outrigger[facet] };
  }
  return found;
}

/** Envoy knows nothing of a head that it refused; Outrigger logs what could be read of it. */
export function tellsMoreOfRefused(envoy: Observation, outrigger: Observation): boolean {
  const [theirs, ours] = [envoy.log as string[], outrigger.log as string[]];
  const isRefused = (line: string) => line.startsWith('HTTP/1.1 - - - - 0 ');
  return (
    theirs.some(isRefused) &&
    theirs.length === ours.length &&
    theirs.every((line, i) => line === ours[i] || (isRefused(line) && ours[i]?.endsWith(line.slice(12)) === true))
  );
}

const GENERAL = /^http1\.(codec_error|invalid_characters)$/;

/** Envoy says that a message is wrong where Outrigger says how. */
export function namesTheFault(envoy: Observation, outrigger: Observation): boolean {
  const [theirs, ours] = [envoy.details as string[], outrigger.details as string[]];
  return (
    theirs.some((details) => GENERAL.test(details)) &&
    theirs.length === ours.length &&
    theirs.every((details, i) => details === ours[i] || (GENERAL.test(details) && /^http1\./.test(ours[i] ?? '')))
  );
}
