import { get, post, request, response, type Scenario } from '../harness/case.ts';

/** Ordinary requests. */
export const messages: Scenario = {
  name: 'messages',
  cases: [
    { name: 'GET', send: get('/') },
    { name: 'POST with a body', send: post('/', 'hello') },
    { name: 'HEAD', send: request('HEAD /'), methods: ['HEAD'], upstream: [response('200 OK', ['x-a: b'], '').replace('length: 0', 'length: 5')] },
    { name: 'OPTIONS without a body', send: request('OPTIONS /') },
    { name: 'bare LF line ends', send: 'GET / HTTP/1.1\nHost: test.example\n\n' },
    { name: 'space before the colon', send: get('/', 'X-A : b') },
    { name: 'duplicate content-length', send: request('POST /', ['Content-Length: 2', 'Content-Length: 2'], 'ok') },
    { name: 'the upstream closes without an answer', send: post('/', 'x'), upstream: [['FIN']] },
    { name: 'the upstream answers garbage', send: get('/'), upstream: ['garbage\r\n\r\n'] },
    { name: 'two pipelined', send: get('/1') + get('/2'), responses: 2 },
  ],
};
