import { createServer } from 'node:http';

/** Takes what an exporter sends over OTLP/HTTP, and says that all is well: `trace-sink.ts PORT`. */
createServer((request, response) => {
  request.resume();
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
}).listen(Number(process.argv[2]), '127.0.0.1');
