import { expect, test } from 'vitest';
import { methodNameOf } from '../../../src/http/grpc/method-name.ts';

test.each([
  ['/helloworld.Greeter/SayHello', 'helloworld.Greeter', 'SayHello'],
  ['/a.B/C?x=/1', 'a.B', 'C'],
  ['//a.B//C/', 'a.B', 'C'],
])('%s is a call', (path, service, method) => {
  expect(methodNameOf(path)).toEqual({ service, method });
});

test.each(['', '/', '/one', '/one/', '/one/two/three', 'one/two', '/?a/b', '*'])('%j is none', (path) => {
  expect(methodNameOf(path)).toBeUndefined();
});
