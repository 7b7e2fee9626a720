import { setTimeout as sleep } from 'node:timers/promises';
import { TestClient } from '../../../support/sockets.ts';
import type { Case, ClientStep } from './case.ts';
import { type Message, readMessages } from './message.ts';

/**
 * What became of the connection: it served a further request, was closed before it did, or stayed without an answer.
 * Without a further request, an end can be told from a reset.
 */
export type Fate = 'open' | 'closed' | 'ended' | 'reset' | 'silent';

export interface ClientRecord {
  readonly port: number;
  readonly startTimeEpochMs: number;
  readonly endTimeEpochMs: number;
  readonly responses: readonly Message[];
  /** Bytes behind the last response that are no whole message. */
  readonly rest: string;
  readonly fate: Fate;
}

const ANSWER_TIMEOUT_MS = 2500;
const QUIET_MS = 250;
/** Host of the further request; every configuration answers it itself. */
export const PROBE_HOST = 'probe.invalid';
const PROBE = `GET /probe HTTP/1.1\r\nhost: ${PROBE_HOST}\r\n\r\n`;

/** Goes through a case on a connection of its own; `beforeEnd` runs while it is still there. */
export async function runClient(port: number, exchange: Case, beforeEnd: () => Promise<void>): Promise<ClientRecord> {
  const startTimeEpochMs = Date.now();
  const client = await TestClient.connect(port);
  const { localPort = 0 } = client.socket;
  try {
    const steps = typeof exchange.send === 'string' ? [exchange.send] : exchange.send;
    for (const step of steps) await run(client, step, exchange);
    await waitFor(client, () => complete(client, exchange) >= (exchange.responses ?? 1));
    const before = client.text;
    const fate = await fateOf(client, exchange);
    await beforeEnd();
    const { messages, rest } = responsesOf(
      before.length > 0 && fate === 'open' ? before : client.text,
      client.ended,
      exchange,
    );
    return { port: localPort, startTimeEpochMs, endTimeEpochMs: Date.now(), responses: messages, rest, fate };
  } finally {
    client.destroy();
  }
}

async function run(client: TestClient, step: ClientStep, exchange: Case): Promise<void> {
  if (typeof step === 'number') await sleep(step);
  else if (step === 'FIN') client.socket.end();
  else if (step === 'RST') client.socket.resetAndDestroy();
  else if (typeof step === 'string') client.write(step);
  else if ('text' in step) await waitFor(client, () => client.text.includes(step.text));
  else await waitFor(client, () => complete(client, exchange) >= step.responses);
}

async function waitFor(client: TestClient, condition: () => boolean): Promise<void> {
  await client.until(() => condition() || client.ended || client.closed, ANSWER_TIMEOUT_MS).catch(() => {});
}

async function fateOf(client: TestClient, exchange: Case): Promise<Fate> {
  if (exchange.probe !== false) {
    if (over(client)) return 'closed';
    const before = client.text;
    client.write(PROBE);
    await waitFor(client, () => client.text.length > before.length);
    if (client.text.length > before.length) return 'open';
    return over(client) ? 'closed' : 'silent';
  }
  await client.until(over, QUIET_MS).catch(() => {});
  if (client.error !== undefined) return 'reset';
  return client.ended || client.closed ? 'ended' : 'silent';
}

function over(client: TestClient): boolean {
  return client.ended || client.closed;
}

function complete(client: TestClient, exchange: Case): number {
  return responsesOf(client.text, client.ended, exchange).messages.filter((message) => message.complete).length;
}

function responsesOf(text: string, ended: boolean, exchange: Case): { messages: Message[]; rest: string } {
  const methods = exchange.methods ?? ['GET'];
  let final = 0;
  return readMessages(text, 'response', ended, (_index, startLine) => {
    const status = Number(startLine.split(' ')[1]);
    const method = methods[Math.min(final, methods.length - 1)];
    if (status === 101) return 'tunnel';
    if (status < 200) return 'bodiless';
    final++;
    if (method === 'CONNECT' && status < 300) return 'tunnel';
    return method === 'HEAD' || status === 204 || status === 304 ? 'bodiless' : 'no';
  });
}
