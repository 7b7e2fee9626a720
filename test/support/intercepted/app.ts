import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ECHO_SERVICE, PORTS } from './protocol.ts';

/** An app in a pod that knows of no proxy: it serves one port for each protocol, on all its addresses. */

const http = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString();
  });
  request.on('end', () => {
    const { remoteAddress, localAddress } = request.socket;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ body, headers: request.headers, url: request.url, remoteAddress, localAddress }));
  });
});
http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
  socket.write(`welcome ${request.url}`);
  socket.write(head);
  socket.pipe(socket);
});
// Idle connections are the proxy's to end.
http.keepAliveTimeout = 60_000;

function echo(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.pipe(socket);
}

const grpc = new Server();
grpc.addService(ECHO_SERVICE, {
  echo: (call: { request: string }, done: (error: null, value: string) => void) => done(null, `grpc ${call.request}`),
});

const servers = [
  http.listen({ port: PORTS.http, host: '::', backlog: 4096 }),
  createTcpServer({ allowHalfOpen: true }, echo).listen({ port: PORTS.tcp, host: '::', backlog: 4096 }),
  createTcpServer({ allowHalfOpen: true }, echo).listen({ port: PORTS.excluded, host: '::', backlog: 4096 }),
  // The server speaks first, and ends what is over.
  createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('220 shop ready\r\n');
    socket.once('data', (line: Buffer) => socket.end(`250 ${line.toString().trim()}\r\n`));
  }).listen({ port: PORTS.serverFirst, host: '::', backlog: 4096 }),
];
await Promise.all(servers.map((server) => server.listening || new Promise((done) => server.once('listening', done))));
await new Promise<void>((done, failed) =>
  grpc.bindAsync(`[::]:${PORTS.grpc}`, ServerCredentials.createInsecure(), (error) => (error ? failed(error) : done())),
);
process.stdout.write('ready\n');
