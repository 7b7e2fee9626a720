import type { Scenario } from './scenario.ts';

const base = {
  groups: ['http2'],
  protocol: 'http',
  downstream: 'http2',
  upstream: 'http2',
  config: 'http',
  bodyBytes: 100,
  direction: 'download',
  connections: 4,
  streams: 32,
  expectStatus: 200,
} as const;

/** Connections × streams: many streams on few connections, none, and all on one. */
const SHAPES: readonly (readonly [connections: number, streams: number, groups: readonly string[]])[] = [
  [4, 32, ['core', 'quick', 'http2']],
  [32, 1, ['core', 'http2']],
  [1, 256, ['http2']],
];

/** HTTP/2 in clear text with prior knowledge, on each side of the proxy alone and on both, and gRPC. */
export const HTTP2_SCENARIOS: readonly Scenario[] = [
  ...SHAPES.map(([connections, streams, groups]) => ({
    ...base,
    name: `h2_${connections}x${streams}`,
    summary: `HTTP/2 router, ${connections} connection${connections === 1 ? '' : 's'} × ${streams} stream${streams === 1 ? '' : 's'}`,
    groups,
    connections,
    streams,
  })),
  {
    ...base,
    name: 'h2_mix_all',
    summary: 'every filter but fault and buffer, with access log, over HTTP/2',
    groups: ['core', 'http2'],
    config: 'mix_all',
    headers: { origin: 'https://app.example' },
  },
  {
    ...base,
    name: 'h2_1m',
    summary: 'HTTP/2 router, 1 MiB responses, 4 connections × 8 streams',
    groups: ['core', 'http2', 'bodies'],
    bodyBytes: 1024 * 1024,
    streams: 8,
  },
  {
    ...base,
    name: 'h1_h2',
    summary: 'HTTP/1.1 clients, HTTP/2 backend',
    downstream: 'http1',
    connections: 32,
    streams: 1,
  },
  { ...base, name: 'h2_h1', summary: 'HTTP/2 clients, HTTP/1.1 backend', upstream: 'http1' },
  {
    ...base,
    name: 'grpc_unary',
    summary: 'gRPC, unary calls of 100 B each way',
    groups: ['core', 'http2', 'grpc'],
    grpc: 'unary',
  },
  {
    ...base,
    name: 'grpc_stream',
    summary: 'gRPC, bidirectional streams of 100 messages; a message and its echo count as a request',
    groups: ['http2', 'grpc'],
    grpc: 'stream',
  },
];
