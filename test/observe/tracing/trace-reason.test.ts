import { describe, expect, test } from 'vitest';
import { RequestHead } from '../../../src/http/message.ts';
import { decideReason, type Shares } from '../../../src/observe/tracing/trace-reason.ts';

const ID = '0000270f-1111-4111-8111-111111111111'; // 9999
const ALL = { numerator: 100, whole: 100 };
const NONE = { numerator: 0, whole: 100 };
const IDS = { pack_trace_reason: true, use_request_id_for_trace_sampling: true };

function request(id: string | undefined, headers: Record<string, string> = {}): RequestHead {
  const head = new RequestHead();
  if (id !== undefined) head.add('x-request-id', id);
  for (const [name, value] of Object.entries(headers)) {
    head.add(name, value);
    if (name.startsWith('x-envoy-')) head.present |= 1 << 31;
  }
  return head;
}

const shares = (overrides: Partial<Shares> = {}): Shares => ({ client: ALL, random: ALL, overall: ALL, ...overrides });

describe('a request is traced', () => {
  test('by share, and its id says so to the proxies behind', () => {
    const head = request(ID);
    expect(decideReason(head, shares(), IDS)).toBe('random_sampling');
    expect(head.get('x-request-id')).toBe('0000270f-1111-9111-8111-111111111111');
  });

  test('in the share that its id falls into', () => {
    const random = { numerator: 9999, whole: 10_000 };
    expect(decideReason(request(ID), shares({ random }), IDS)).toBe('not_traceable');
    expect(decideReason(request(ID.replace('270f', '270e')), shares({ random }), IDS)).toBe('random_sampling');
  });

  test('because a proxy before decided so, whatever the share here', () => {
    for (const [digit, reason] of [
      ['9', 'random_sampling'],
      ['a', 'service_forced'],
      ['b', 'client_enabled'],
    ] as const) {
      const head = request(`0000270f-1111-${digit}111-8111-111111111111`);
      expect(decideReason(head, shares({ random: NONE, client: NONE }), IDS)).toBe(reason);
    }
  });

  test('because somebody asks for it', () => {
    const client = { 'x-client-trace-id': 'mine' };
    const force = { 'x-envoy-force-trace': 'true' };
    const random = shares({ random: NONE });
    expect(decideReason(request(ID, client), random, IDS)).toBe('client_enabled');
    expect(decideReason(request(ID, force), random, IDS)).toBe('service_forced');
    expect(decideReason(request(ID, { ...client, ...force }), random, IDS)).toBe('client_enabled');
    const half = shares({ random: NONE, client: { numerator: 50, whole: 100 } });
    expect(decideReason(request(ID, client), half, IDS, () => 0.49)).toBe('client_enabled');
    expect(decideReason(request(ID, client), half, IDS, () => 0.5)).toBe('not_traceable');
  });

  test('unless the overall share is against it; then its id says that', () => {
    const head = request('0000270f-1111-b111-8111-111111111111');
    expect(decideReason(head, shares({ overall: NONE }), IDS)).toBe('not_traceable');
    expect(head.get('x-request-id')).toBe(ID);
  });
});

describe('an id', () => {
  test('that is missing or no number traces nothing', () => {
    expect(decideReason(request(undefined), shares(), IDS)).toBe('not_traceable');
    expect(decideReason(request('no-uuid-at-all'), shares(), IDS)).toBe('not_traceable');
    expect(decideReason(request('abc'), shares(), IDS)).toBe('not_traceable');
  });

  test('that is no UUID stays as it is', () => {
    const head = request('abcdef01-and-more');
    expect(decideReason(head, shares(), IDS)).toBe('random_sampling');
    expect(head.get('x-request-id')).toBe('abcdef01-and-more');
  });

  test('is neither read nor written where the configuration says so', () => {
    const head = request('0000270f-1111-b111-8111-111111111111');
    const ids = { ...IDS, pack_trace_reason: false };
    expect(decideReason(head, shares({ random: NONE }), ids)).toBe('not_traceable');
    expect(head.get('x-request-id')).toBe('0000270f-1111-b111-8111-111111111111');
  });

  test('decides nothing where it shall not', () => {
    const ids = { ...IDS, use_request_id_for_trace_sampling: false };
    expect(decideReason(request(undefined), shares({ random: NONE }), ids)).toBe('random_sampling');
  });
});
