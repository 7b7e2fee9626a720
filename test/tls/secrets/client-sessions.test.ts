import { expect, test } from 'vitest';
import { ClientSessions, SessionHarvest } from '../../../src/tls/secrets/client-sessions.ts';

const session = (name: string): Buffer => Buffer.from(name);

test('the newest session of a server is used first, each once', () => {
  const sessions = new ClientSessions(2);
  for (const name of ['a', 'b', 'c']) sessions.keep('server', session(name));
  expect(sessions.take('server')?.toString()).toBe('c');
  expect(sessions.take('server')?.toString()).toBe('b');
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
  expect(sessions.take('server 0')?.toString()).toBe('b');
});

test('nothing is kept of a server before it was believed', () => {
  const sessions = new ClientSessions(1);
  const harvest = new SessionHarvest(sessions, 'server');
  harvest.onSession(session('early'));
  expect(sessions.take('server')).toBeUndefined();
  harvest.believe();
  expect(sessions.take('server')?.toString()).toBe('early');
  harvest.onSession(session('late'));
  expect(sessions.take('server')?.toString()).toBe('late');
});
