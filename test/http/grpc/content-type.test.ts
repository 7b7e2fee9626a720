import { expect, test } from 'vitest';
import { isGrpcContentType } from '../../../src/http/grpc/content-type.ts';

test.each(['application/grpc', 'application/grpc+proto', 'application/grpc+'])('%s is gRPC', (type) => {
  expect(isGrpcContentType(type)).toBe(true);
});

test.each(['', 'application/grpc-web', 'application/grpc;a=b', 'application/grp', 'Application/grpc', 'text/plain'])(
  '%j is not',
  (type) => {
    expect(isGrpcContentType(type)).toBe(false);
  },
);
