import { describe, expect, test } from 'vitest';
import {
  GRPC_NAMES,
  grpcStatusNumber,
  grpcToHttpStatus,
  httpToGrpcStatus,
  isServerSuccess,
  parseGrpcStatus,
} from '../../../src/http/grpc/status.ts';

test('names have their numbers', () => {
  expect(grpcStatusNumber('OK')).toBe(0);
  expect(grpcStatusNumber('UNAUTHENTICATED')).toBe(16);
  expect(grpcStatusNumber('CANCELED')).toBe(grpcStatusNumber('CANCELLED'));
  expect(grpcStatusNumber('NO_SUCH')).toBeUndefined();
});

test.each([
  [undefined, undefined],
  ['0', 0],
  ['014', 14],
  ['99', 99],
  ['', -1],
  ['-1', -1],
  ['x', -1],
  ['1234567890', -1],
])('the header %j says %j', (text, status) => {
  expect(parseGrpcStatus(text)).toBe(status);
});

// The table of Envoy's Grpc::Utility::httpToGrpcStatus.
test.each([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
  [200, 2],
  [408, 2],
  [500, 2],
])('HTTP %i is gRPC %i', (http, grpc) => {
  expect(httpToGrpcStatus(http)).toBe(grpc);
});

describe('what a call says of its server', () => {
  test.each([
    ['OK', 200],
    ['CANCELLED', 499],
    ['UNKNOWN', 500],
    ['INVALID_ARGUMENT', 400],
    ['DEADLINE_EXCEEDED', 504],
    ['NOT_FOUND', 404],
    ['ALREADY_EXISTS', 409],
    ['PERMISSION_DENIED', 403],
    ['RESOURCE_EXHAUSTED', 429],
    ['FAILED_PRECONDITION', 400],
    ['ABORTED', 409],
    ['OUT_OF_RANGE', 400],
    ['UNIMPLEMENTED', 501],
    ['INTERNAL', 500],
    ['UNAVAILABLE', 503],
    ['DATA_LOSS', 500],
    ['UNAUTHENTICATED', 401],
  ])('%s counts like %i', (name, status) => {
    expect(grpcToHttpStatus(GRPC_NAMES.indexOf(name))).toBe(status);
    expect(isServerSuccess(String(GRPC_NAMES.indexOf(name)))).toBe(status < 500);
  });

  test('no status, or none that gRPC knows, is a failure', () => {
    for (const text of [undefined, '', 'x', '17']) expect(isServerSuccess(text)).toBe(false);
  });
});
