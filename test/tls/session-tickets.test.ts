import { createSecureContext } from 'node:tls';
import { expect, test } from 'vitest';
import { contextAddress, type OpenSsl, openSsl } from '../../src/tls/openssl.ts';
import { SessionTickets } from '../../src/tls/session-tickets.ts';
import { TestPki } from '../support/tls.ts';

const pki = new TestPki();
const ssl = openSsl() as OpenSsl;

class Clock {
  ms = 5000;
}

/** Says of each of so many new connections whether OpenSSL would issue a ticket. */
function ticketsOf(clock: Clock): { tickets: SessionTickets; next: (count: number) => number } {
  const context = createSecureContext({ ...pki.server });
  const address = contextAddress(ssl, context) as bigint;
  const tickets = new SessionTickets(ssl, context, address, () => clock.ms);
  const next = (count: number): number => {
    let issued = 0;
    for (let i = 0; i < count; i++) {
      tickets.prepare();
      issued += Number(ssl.SSL_CTX_get_num_tickets(address));
    }
    return issued;
  };
  return { tickets, next };
}

test('tickets that nobody comes back with are issued 256 at once, then 32 a second', () => {
  const clock = new Clock();
  const { next } = ticketsOf(clock);
  expect(next(256)).toBe(256);
  expect(next(100)).toBe(0);
  clock.ms += 500;
  expect(next(100)).toBe(16);
  clock.ms += 1000;
  expect(next(100)).toBe(32);
});

test('a pause makes room for 256, not for more', () => {
  const clock = new Clock();
  const { next } = ticketsOf(clock);
  clock.ms += 3_600_000;
  expect(next(1000)).toBe(256);
});

test('at 32 connections a second each has its ticket', () => {
  const clock = new Clock();
  const { next } = ticketsOf(clock);
  let issued = 0;
  for (let second = 0; second < 100; second++) {
    issued += next(32);
    clock.ms += 1000;
  }
  expect(issued).toBe(3200);
});

test('one that somebody comes back with makes room for 256', () => {
  const clock = new Clock();
  const { tickets, next } = ticketsOf(clock);
  expect(next(300)).toBe(256);
  tickets.redeem();
  expect(next(300)).toBe(256);
  expect(next(1)).toBe(0);
});

test('handshakes that come to nothing take none', () => {
  const { tickets, next } = ticketsOf(new Clock());
  for (let i = 0; i < 1000; i++) {
    tickets.prepare();
    tickets.restore();
  }
  expect(next(1000)).toBe(256);
});
