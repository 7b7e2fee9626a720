import { expect, test } from 'vitest';
import { GrpcError } from '../../../src/filter/calls.ts';
import {
  frameMessage,
  readMessage,
  readUnaryResponse,
  statusOfFailure,
  unaryHead,
} from '../../../src/http/grpc/unary-call.ts';
import { HeaderMap } from '../../../src/http/headers.ts';
import { ResponseHead } from '../../../src/http/message.ts';

test('the head of a call says what gRPC asks for, and its own metadata', () => {
  const head = unaryHead('/a.B/C', 'host.test', 1500, [['x-key', 'v']]);
  expect([head.method, head.path, head.authority]).toEqual(['POST', '/a.B/C', 'host.test']);
  expect([...head.entries()]).toEqual([
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['grpc-timeout', '1500m'],
    ['x-key', 'v'],
  ]);
  expect(() => unaryHead('/a.B/C', 'host.test', 1500, [['x key', 'v']])).toThrow(TypeError);
});

test('a message comes out of its frame as it went in; anything but one whole message is refused', () => {
  const message = Buffer.from('some bytes');
  expect(frameMessage(message).subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, 0, 10]));
  expect(readMessage(frameMessage(message))).toEqual(message);
  expect(readMessage(frameMessage(Buffer.alloc(0)))).toEqual(Buffer.alloc(0));
  const framed = frameMessage(message);
  for (const wrong of [Buffer.alloc(0), framed.subarray(0, 4), framed.subarray(0, 9), Buffer.concat([framed, framed])])
    expect(() => readMessage(wrong)).toThrow(GrpcError);
  framed[0] = 1;
  expect(() => readMessage(framed)).toThrow('compressed');
});

test('trailers decide over the head', () => {
  const head = new ResponseHead();
  head.append('grpc-status', '0');
  const trailers = new HeaderMap();
  trailers.append('grpc-status', '14');
  trailers.append('grpc-message', 'try%20later');
  expect(() => readUnaryResponse(head, trailers, Buffer.alloc(0))).toThrow('try later');
  expect(readUnaryResponse(head, undefined, frameMessage(Buffer.from('x')))).toEqual(Buffer.from('x'));
});

test('every failure on the way has a status', () => {
  const reasons = [
    'timeout',
    'cancelled',
    'response_too_large',
    'invalid_request',
    'overflow',
    'unknown_cluster',
  ] as const;
  expect(reasons.map(statusOfFailure)).toEqual([4, 1, 8, 13, 14, 14]);
});
