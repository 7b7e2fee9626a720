import { Agent, createServer, request as httpRequest } from 'node:http';

/** The services of a call graph in one process: each calls those that it depends on, one after the other, and answers. */

export interface AppPlan {
  readonly name: string;
  readonly address: string;
  /** Where it finds whom it calls. */
  readonly calls: readonly string[];
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

function call(address: string): Promise<number> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host, port: Number(port), path: '/', agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end();
  });
}

const plans = JSON.parse(process.argv[2] ?? '[]') as AppPlan[];
let listening = 0;
for (const { address, calls } of plans) {
  const [host, port] = address.split(':');
  const server = createServer(async (request, response) => {
    request.resume();
    try {
      for (const one of calls) {
        const status = await call(one);
        if (status !== 200) throw new Error(`${one} answered ${status}`);
      }
      response.end('ok');
    } catch (error) {
      response.statusCode = 500;
      response.end(String(error));
    }
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(port), host, () => {
    listening++;
    if (listening === plans.length) process.stdout.write('ready\n');
  });
}
