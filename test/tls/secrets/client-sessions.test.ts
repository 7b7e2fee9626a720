import { expect, test } from 'vitest';
import { ClientSessions, SessionHarvest } from '../../../src/tls/secrets/client-sessions.ts';

const session = (name: string) => ({ session: Buffer.from(name), certificate: undefined });
const taken = (sessions: ClientSessions, server: string) => sessions.take(server)?.session.toString();

test('the newest session of a server is used first, each once', () => {
  const sessions = new ClientSessions(2);
  for (const name of ['a', 'b', 'c']) sessions.keep('server', session(name));
  expect(taken(sessions, 'server')).toBe('c');
  expect(taken(sessions, 'server')).toBe('b');
  expect(sessions.take('server')).toBeUndefined();
  expect(sessions.take('other')).toBeUndefined();
});

test('without keys nothing is kept', () => {
  const sessions = new ClientSessions(0);
  sessions.keep('server', session('a'));
  expect(sessions.enabled).toBe(false);
  expect(sessions.take('server')).toBeUndefined();
});

test('of many servers, the one that was heard of longest ago is forgotten', () => {
  const sessions = new ClientSessions(1);
  for (let i = 0; i < 256; i++) sessions.keep(`server ${i}`, session('a'));
  sessions.keep('server 0', session('b'));
  sessions.keep('one more', session('a'));
  expect(sessions.take('server 1')).toBeUndefined();
  expect(taken(sessions, 'server 0')).toBe('b');
});

test('nothing is kept of a server before it was believed', () => {
  const sessions = new ClientSessions(1);
  const harvest = new SessionHarvest(sessions, 'server', undefined);
  harvest.onSession(Buffer.from('early'));
  expect(sessions.take('server')).toBeUndefined();
  harvest.believe(undefined, 'TLSv1.3', false);
  expect(taken(sessions, 'server')).toBe('early');
  harvest.onSession(Buffer.from('late'));
  expect(taken(sessions, 'server')).toBe('late');
});

test('one of TLS 1.2 that was resumed stays good, one of TLS 1.3 is used once', () => {
  const sessions = new ClientSessions(1);
  new SessionHarvest(sessions, 'server', session('again')).believe(undefined, 'TLSv1.2', true);
  expect(taken(sessions, 'server')).toBe('again');
  new SessionHarvest(sessions, 'server', session('refused')).believe(undefined, 'TLSv1.2', false);
  new SessionHarvest(sessions, 'server', session('once')).believe(undefined, 'TLSv1.3', true);
  expect(sessions.take('server')).toBeUndefined();
});
