import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { RunningCli } from '../cli/run-cli.ts';

test('one line on the command line puts a sidecar in front of a gRPC server', async () => {
  const server = createServer((request, response) => {
    expect(request.httpVersion).toBe('2.0');
    response.writeHead(200, { 'content-type': 'application/grpc' });
    response.write(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    response.addTrailers({ 'grpc-status': '0' });
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const app = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cli = new RunningCli([
    'run',
    ...['--app', app, '--listen', '127.0.0.1:0', '--protocol', 'grpc', '--admin', '127.0.0.1:0'],
  ]);
  const [, port] = await cli.output(/sidecar listening on 127\.0\.0\.1:(\d+)/);
  const client = connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => client.destroy());
  const call = client.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const trailers = once(call, 'trailers');
  call.end(Buffer.alloc(5));
  let bytes = 0;
  call.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  expect((await trailers)[0]['grpc-status']).toBe('0');
  expect(bytes).toBe(7);
  client.close();
  cli.child.kill('SIGTERM');
  expect((await cli.ended()).code).toBe(0);
}, 20_000);
