import { describe, expect, it } from 'vitest';
import { FLAG } from '../../src/http/response-flags.ts';
import { DenialLog } from '../../src/observe/denials.ts';
import { fakeSession, fakeStream } from './fake-stream.ts';

describe('DenialLog', () => {
  it('tells who denied what, and why', () => {
    const log = new DenialLog();
    const fields = {
      responseCode: 429,
      responseFlags: FLAG.RL,
      responseCodeDetails: 'local_rate_limited',
      startTimeEpochMs: 5,
    };
    log.record(fakeStream({ fields }), 'inbound', 'limit');
    expect(log.list()).toEqual([
      {
        timeEpochMs: 5,
        listener: 'inbound',
        method: 'GET',
        path: '/items?page=2',
        authority: 'shop.test',
        filter: 'limit',
        details: 'local_rate_limited',
        flags: 'RL',
        status: 429,
        remoteAddress: '10.0.0.9',
      },
    ]);
  });

  it('shows bytes of messages as text, also where they are cut', () => {
    const wire = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
    const log = new DenialLog();
    const info = fakeStream({ fields: { responseCode: 403, responseCodeDetails: wire('policy[é]') } });
    (info.request as { path: string }).path = wire(`/é${'x'.repeat(5000)}`);
    log.record(info, 'inbound', 'rbac');
    expect(log.list()[0]?.details).toBe('policy[é]');
    expect(log.list()[0]?.path).toMatch(/^\/éx+…$/);
  });

  it('keeps the last ones only, the newest first, and counts all', () => {
    const log = new DenialLog(3);
    for (let i = 0; i < 5; i++) log.record(fakeStream({ fields: { responseCode: 400 + i } }), 'in', 'rbac');
    expect(log.list().map((denial) => denial.status)).toEqual([404, 403, 402]);
    expect(log.total).toBe(5);
  });

  it('takes connections, and holds on to no more than a bounded part of a path', () => {
    const log = new DenialLog();
    log.record(fakeSession({ connectionTerminationDetails: 'rbac_denied' }), 'tcp', 'rbac');
    const long = fakeStream();
    (long.request as { path: string }).path = `/${'x'.repeat(60_000)}`;
    log.record(long, 'in', 'rbac');
    const [second, first] = log.list();
    expect(first).toMatchObject({ method: '', path: '', status: 0, details: 'rbac_denied' });
    expect(second?.path).toHaveLength(257);
  });

  it('hands out copies', () => {
    const log = new DenialLog(1);
    log.record(fakeStream({ fields: { responseCode: 403 } }), 'in', 'rbac');
    const [kept] = log.list();
    log.record(fakeStream({ fields: { responseCode: 429 } }), 'in', 'limit');
    expect(kept?.status).toBe(403);
  });
});
