import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Cluster as ClusterConfig } from '../../src/config/schema/cluster.ts';
import { testConnection } from '../../src/filter/harness-env.ts';
import type { RequestHead } from '../../src/http/message.ts';
import type { Endpoint } from '../../src/upstream/endpoint.ts';
import { type Errand, OriginalDestinations } from '../../src/upstream/original-destinations.ts';

const INTERVAL_MS = 5000;

function errand(localAddress: string, localPort: number, headers: Record<string, string> = {}): Errand {
  const request = { get: (name: string) => headers[name] } as RequestHead;
  return { connection: { ...testConnection(), localAddress, localPort, isRestored: true }, request };
}

function destinations(options?: ClusterConfig['original_dst_lb_config']) {
  const config = { original_dst_lb_config: options, cleanup_interval: INTERVAL_MS } as ClusterConfig;
  const left: Endpoint[] = [];
  const invalidHosts = { inc: vi.fn() };
  const originals = new OriginalDestinations(config, {
    invalidHosts: invalidHosts as never,
    onJoin: () => undefined,
    onLeave: (endpoints) => left.push(...endpoints),
  });
  return { originals, left, invalidHosts };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a connection goes where its client wanted to go, by one endpoint for each address', () => {
  const { originals } = destinations();
  const endpoint = originals.pick(errand('10.0.0.1', 80));
  expect(endpoint).toMatchObject({ address: '10.0.0.1:80', host: '10.0.0.1', port: 80 });
  expect(originals.pick(errand('10.0.0.1', 80))).toBe(endpoint);
  expect(originals.pick(errand('fd00::1', 80))?.address).toBe('[fd00::1]:80');
  expect(originals.endpoints).toHaveLength(2);
});

test('nobody knows where one goes that was not intercepted', () => {
  const { originals } = destinations();
  const { connection, request } = errand('10.0.0.1', 80);
  expect(originals.pick({ connection: { ...connection, isRestored: false }, request })).toBeUndefined();
  expect(originals.pick(undefined)).toBeUndefined();
});

test('the port can be another one', () => {
  const { originals } = destinations({ use_http_header: false, http_header_name: '', upstream_port_override: 15008 });
  expect(originals.pick(errand('10.0.0.1', 80))?.address).toBe('10.0.0.1:15008');
});

describe('a header', () => {
  const named = { use_http_header: true, http_header_name: '' };
  const to = (value: string) => errand('10.0.0.1', 80, { 'x-envoy-original-dst-host': value });

  test('names the address, where it is asked', () => {
    expect(destinations(named).originals.pick(to('10.0.0.9:90'))?.address).toBe('10.0.0.9:90');
    expect(destinations(named).originals.pick(to('[fd00::9]:90'))?.address).toBe('[fd00::9]:90');
    expect(destinations().originals.pick(to('10.0.0.9:90'))?.address).toBe('10.0.0.1:80');
  });

  test.each([
    'shop.test:80',
    '10.0.0.9',
    '10.0.0.9:0',
    '10.0.0.9:65536',
    '[10.0.0.9]:80',
    '10.0.0.9:80,10.0.0.8:80',
    '',
  ])('that names no address (%j) is counted, and the original destination holds', (value) => {
    const { originals, invalidHosts } = destinations(named);
    expect(originals.pick(to(value))?.address).toBe('10.0.0.1:80');
    expect(invalidHosts.inc).toHaveBeenCalledOnce();
  });
});

test('endpoints that nobody used during a whole interval are forgotten, those in use are not', () => {
  const { originals, left } = destinations();
  const idle = originals.pick(errand('10.0.0.1', 80)) as Endpoint;
  const busy = originals.pick(errand('10.0.0.2', 80)) as Endpoint;
  busy.activeRequests = 1;
  vi.advanceTimersByTime(INTERVAL_MS);
  expect(left).toEqual([]);
  vi.advanceTimersByTime(INTERVAL_MS);
  expect(left).toEqual([idle]);
  expect(originals.endpoints).toEqual([busy]);
  busy.activeRequests = 0;
  vi.advanceTimersByTime(2 * INTERVAL_MS);
  expect(originals.endpoints).toEqual([]);
  // Nothing runs on for an empty table.
  expect(vi.getTimerCount()).toBe(0);
});

test('a client that names more addresses than anybody uses does not fill the memory', () => {
  const { originals } = destinations();
  const busy = originals.pick(errand('192.0.2.1', 80)) as Endpoint;
  busy.activeRequests = 1;
  for (let index = 0; index < 20_000; index++) originals.pick(errand(`10.0.${index >> 8}.${index & 255}`, 80));
  expect(originals.endpoints.length).toBeLessThanOrEqual(4096);
  expect(originals.endpoints).toContain(busy);
  originals.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test('many that are in use all stay', () => {
  const { originals } = destinations();
  for (let index = 0; index < 10_000; index++) {
    const endpoint = originals.pick(errand(`10.0.${index >> 8}.${index & 255}`, 80)) as Endpoint;
    endpoint.activeRequests = 1;
  }
  expect(originals.endpoints).toHaveLength(10_000);
  originals.stop();
});
