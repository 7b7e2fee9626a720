import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listeningDescriptor } from '../../kernel/accept-queue.ts';
import type { RootLogger } from '../log.ts';
import { adminKey } from './admin-key.ts';
import type { Command } from './command.ts';
import { refusal } from './guard.ts';
import { PAGE, PAGE_SCRIPT, PAGE_STYLE } from './page.ts';
import { READ_COMMANDS } from './read-commands.ts';
import { AdminError, type AdminReply, textReply } from './reply.ts';
import { TAP_COMMAND } from './tap-command.ts';
import type { ProxyView } from './view.ts';
import { WRITE_COMMANDS } from './write-commands.ts';

export interface AdminOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** A socket that listens there already, and was taken over. */
  readonly inherited?: number | undefined;
  readonly view: ProxyView;
  readonly log: RootLogger;
}

export interface AdminServer {
  readonly address: string;
  readonly port: number;
  /** Says what address was asked for. */
  readonly key: string;
  /** Of the listening socket. */
  descriptor(): number;
  close(): Promise<void>;
}

/** Bounds against a client that is slow, chatty or hostile. */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_HEAD_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 64;
const HEAD_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 10_000;

const COMMANDS = new Map<string, Command>(
  [...READ_COMMANDS, ...WRITE_COMMANDS, TAP_COMMAND].map((command): [string, Command] => [command.path, command]),
);

/** The page may run its own script and style, ask this server, and nothing else. */
const PAGE_POLICY = [
  "default-src 'none'",
  `script-src '${hashOf(PAGE_SCRIPT)}'`,
  `style-src '${hashOf(PAGE_STYLE)}'`,
  "connect-src 'self'",
  'img-src data:',
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/**
 * Starts the admin server.
 *
 * @throws Error that names the address when it cannot be bound
 */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  // Loaded only here: node:http costs memory that a proxy without an admin address need not pay.
  const { createServer } = await import('node:http');
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAliveTimeout: 5000,
    connectionsCheckingInterval: 1000,
  });
  server.headersTimeout = HEAD_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request, response) => void handle(request, response, options));
  await listen(server, options);
  const { address, port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  return {
    address,
    port,
    key: adminKey(options.host, options.port),
    descriptor: () => listeningDescriptor(server),
    close,
  };
}

function listen(server: Server, { host, port, inherited }: AdminOptions): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is in use by another process' : error.message;
      fail(new Error(`admin address ${host}:${port}: ${reason}`, { cause: error }));
    });
    server.listen(inherited === undefined ? { host, port } : { fd: inherited }, done);
  });
}

async function handle(request: IncomingMessage, response: ServerResponse, options: AdminOptions): Promise<void> {
  let reply: AdminReply;
  try {
    const refused = refusal(request.headers, options.host);
    if (refused !== undefined) throw new AdminError(403, `refused: ${refused}\n`);
    const body = await readBody(request);
    reply = await answer(request, body, options);
  } catch (error) {
    // The client went away: nobody is left to be told.
    if (response.destroyed) return;
    reply = errorReply(error, options);
  }
  send(request, response, reply);
}

async function answer(request: IncomingMessage, body: string, { view, log }: AdminOptions): Promise<AdminReply> {
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1));
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (path === '/' || path === '/help') {
    if (!isRead) throw methodError(request, 'GET');
    return path === '/' ? { status: 200, contentType: 'text/html; charset=UTF-8', body: PAGE } : textReply(helpText());
  }
  const command = COMMANDS.get(path);
  if (command === undefined) throw new AdminError(404, `invalid path. ${helpText()}`);
  // Reads by POST are fine, as in Envoy; changes by GET are not.
  if (command.method === 'POST' ? request.method !== 'POST' : !isRead && request.method !== 'POST') {
    throw methodError(request, command.method);
  }
  return command.run({ view, log, query, body });
}

function methodError(request: IncomingMessage, needed: string): AdminError {
  return new AdminError(405, `Method ${request.method} not allowed, ${needed} required.`);
}

function errorReply(error: unknown, { log }: AdminOptions): AdminReply {
  if (error instanceof AdminError) return textReply(error.message, error.status);
  log.component('admin').error('a command failed', { error });
  return textReply(`the command failed: ${(error as Error).message}\n`, 500);
}

/** Most commands do not look at it. */
async function readBody(request: IncomingMessage): Promise<string> {
  const tooLarge = new AdminError(413, `the body is larger than ${MAX_BODY_BYTES} bytes\n`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(request: IncomingMessage, response: ServerResponse, reply: AdminReply): void {
  if (response.destroyed) return;
  const body = Buffer.from(reply.body, 'utf8');
  response.writeHead(reply.status, {
    'content-type': reply.contentType,
    ...(reply.stream === undefined ? { 'content-length': body.length } : {}),
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    ...(reply.contentType.startsWith('text/html') ? { 'content-security-policy': PAGE_POLICY } : {}),
    ...(reply.status === 405 ? { allow: reply.body.includes('POST required') ? 'POST' : 'GET, HEAD' } : {}),
    ...(reply.status === 413 ? { connection: 'close' } : {}),
  });
  if (reply.stream !== undefined) void stream(response, reply.stream);
  else response.end(request.method === 'HEAD' ? undefined : body);
}

/** Writes as fast as the client reads. */
async function stream(response: ServerResponse, texts: NonNullable<AdminReply['stream']>): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.flushHeaders();
  try {
    for await (const text of texts(gone.signal)) {
      if (!response.write(text)) await once(response, 'drain', { signal: gone.signal });
    }
    response.end();
  } catch {
    response.destroy();
  }
}

function helpText(): string {
  const lines = [
    { path: '/', method: 'GET', help: 'home page' },
    { path: '/help', method: 'GET', help: 'print this list' },
    ...COMMANDS.values(),
  ] as Command[];
  let text = 'admin commands are:\n';
  for (const { path, method, help, parameters } of lines.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    text += `  ${path}${method === 'POST' ? ' (POST)' : ''}: ${help}\n`;
    for (const [name, meaning] of Object.entries(parameters ?? {})) text += `      ${name}: ${meaning}\n`;
  }
  return text;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}
