import { request } from 'node:http';
import { connect } from 'node:net';
import { Client, credentials } from '@grpc/grpc-js';
import { ECHO_SERVICE } from './protocol.ts';

/**
 * Calls from within a pod: `client.ts <what> <host> <port> [count]` prints what came of it as one JSON value. It knows of
 * no proxy either.
 */

const [what = '', host = '', portText = '', countText = '1'] = process.argv.slice(2);
const port = Number(portText);
const count = Number(countText);
const LIMIT_MS = 20_000;

/** One connection: sends `line`, half-closes, and gives all that came, or the error's code. */
function exchange(line: string): Promise<string> {
  return new Promise((done) => {
    let text = '';
    const socket = connect({ host, port, allowHalfOpen: true });
    socket.setTimeout(LIMIT_MS, () => socket.destroy(Object.assign(new Error(), { code: 'TIMEOUT' })));
    socket.on('connect', () => socket.end(line));
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => done(`error ${error.code}`));
    socket.on('close', () => done(text));
  });
}

/** What a server says to somebody who says nothing before. */
function listenFirst(): Promise<string[]> {
  return new Promise((done) => {
    const heard: string[] = [];
    const socket = connect({ host, port });
    socket.setTimeout(LIMIT_MS, () => socket.destroy());
    socket.on('data', (chunk) => {
      heard.push(chunk.toString());
      if (heard.length === 1) socket.write('EHLO\r\n');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => heard.push(`error ${error.code}`));
    socket.on('close', () => done(heard));
  });
}

function http(body: string): Promise<unknown> {
  return new Promise((done) => {
    const headers = { 'content-length': body.length };
    const call = request({ host, port, method: 'POST', path: '/echo', headers, timeout: LIMIT_MS }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => done({ status: response.statusCode, text, headers: response.headers }));
    });
    call.on('error', (error: NodeJS.ErrnoException) => done({ error: error.code }));
    call.end(body);
  });
}

function webSocket(): Promise<string> {
  return new Promise((done) => {
    let heard = '';
    const headers = { connection: 'Upgrade', upgrade: 'websocket' };
    const call = request({ host, port, path: '/chat', headers, timeout: LIMIT_MS });
    call.on('upgrade', (_response, socket, head) => {
      heard += head.toString();
      socket.on('data', (chunk: Buffer) => {
        heard += chunk.toString();
        if (heard.endsWith('ping')) socket.destroy();
      });
      socket.on('close', () => done(heard));
      socket.write('ping');
    });
    call.on('response', (response) => done(`no upgrade: ${response.statusCode}`));
    call.on('error', (error: NodeJS.ErrnoException) => done(`error ${error.code}`));
    call.end();
  });
}

function grpc(): Promise<string> {
  const client = new Client(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = ECHO_SERVICE.echo;
  return new Promise((done) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, 'hello', (error, value) => {
      client.close();
      done(error === null ? (value ?? '') : `error ${error.message}`);
    });
  });
}

/** How many exchanges were answered rightly, and what the others got. */
async function many(isParallel: boolean): Promise<{ right: number; wrong: string[] }> {
  const wrong: string[] = [];
  let right = 0;
  const one = async (index: number): Promise<void> => {
    const line = `hello ${index}`;
    const got = await exchange(line);
    if (got === line) right++;
    else wrong.push(got);
  };
  if (isParallel) await Promise.all(Array.from({ length: count }, (_, index) => one(index)));
  else for (let index = 0; index < count; index++) await one(index);
  return { right, wrong: [...new Set(wrong)].slice(0, 5) };
}

const CALLS: Readonly<Record<string, () => Promise<unknown>>> = {
  http: () => http('hello'),
  websocket: webSocket,
  grpc,
  tcp: () => exchange('hello'),
  'server-first': listenFirst,
  sequential: () => many(false),
  parallel: () => many(true),
};

process.stdout.write(JSON.stringify(await CALLS[what]?.()));
