import type { ServerResponse } from 'node:http';
import { expect } from 'vitest';
import { CODE, codeOf, nameOf, TYPE } from '../../../support/http2/frames.ts';
import { Http2Peer } from '../../../support/http2/peer.ts';
import { httpConfig } from '../../../support/proxy.ts';
import { LOG_FILE, type ProxyName, ProxyProcess } from '../../../support/proxy-process.ts';
import { type App, eventually, sleep, startApp } from '../../../support/story.ts';

const MIB = 1024 * 1024;
/** What a proxy may take more than before: what garbage collection leaves lying, kernel-sized buffers, no more. */
const GROWTH_MIB = 96;

export const ACCESS_LOG = `
access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${LOG_FILE}
    log_format: { text_format_source: { inline_string: "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n" } }
`;

/**
 * An app that answers `ok`; `/big/N` is N bytes, as fast as they are taken; `/wait` is answered by nobody, and
 * `/unread` not even read; `/held` is answered once `release` is called.
 */
export class VictimApp {
  requests = 0;
  /** Of `/wait`. */
  waiting = 0;
  /** Body bytes that the proxy took of each `/big`. */
  bytesTaken = 0;
  readonly held: ServerResponse[] = [];
  app!: App;

  async start(): Promise<this> {
    this.app = await startApp((request, response) => {
      this.requests++;
      response.on('error', () => {});
      const [, kind, size] = (request.url ?? '').split('/');
      if (kind !== 'unread') request.resume();
      if (kind === 'wait' || kind === 'unread') {
        this.waiting++;
        return;
      }
      if (kind === 'held') this.held.push(response);
      else if (kind === 'big') this.pour(response, Number(size));
      else request.on('end', () => response.end('ok'));
    });
    return this;
  }

  release(): void {
    for (const response of this.held.splice(0)) response.end('released');
  }

  private pour(response: ServerResponse, size: number): void {
    response.setHeader('content-length', size);
    const chunk = Buffer.alloc(65_536, 'x');
    let left = size;
    const more = (): void => {
      while (left > 0) {
        const part = chunk.subarray(0, Math.min(left, chunk.length));
        left -= part.length;
        this.bytesTaken += part.length;
        if (!response.write(part)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  }
}

/** What came of an attacker's connection. */
export interface Outcome {
  /** Name of the code of the last GOAWAY, `none` without one. */
  readonly goAway: string;
  readonly closed: boolean;
}

/** How many frames an attacker sends at most before a test says that nobody stops it. */
export const ENDLESS = 200_000;

/**
 * Sends batches until the proxy says GOAWAY or ends the connection, at most so many.
 * @param frames what goes out in one write
 */
export async function flood(peer: Http2Peer, frames: () => Buffer[], batches: number): Promise<void> {
  const isOver = (): boolean => peer.ended || peer.closed || peer.frames.some(({ type }) => type === TYPE.GOAWAY);
  for (let sent = 0; sent < batches && !isOver(); sent++) {
    await peer.send(...frames());
    // What came meanwhile is read.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The same frame so many times. */
export const times = (count: number, frame: Buffer): Buffer[] => [Buffer.concat(Array<Buffer>(count).fill(frame))];

export function outcomeOf(peer: Http2Peer): Outcome {
  const last = peer.frames.findLast(({ type }) => type === TYPE.GOAWAY);
  return { goAway: last === undefined ? 'none' : nameOf(CODE, codeOf(last)), closed: peer.ended || peer.closed };
}

/** A proxy of its own process that is attacked, while others use it. */
export class Victim implements AsyncDisposable {
  readonly proxy: ProxyProcess;
  readonly app: VictimApp;
  /** Most memory during the last attack above that before it, MiB. */
  growthMib = 0;

  private constructor(proxy: ProxyProcess, app: VictimApp) {
    this.proxy = proxy;
    this.app = app;
  }

  /** @param parts fragments of the configuration, as `httpConfig` takes them */
  static async start(name: ProxyName, parts: Parameters<typeof httpConfig>[1] = {}): Promise<Victim> {
    const app = await new VictimApp().start();
    const manager = `codec_type: AUTO\n${parts.manager ?? ''}\n${ACCESS_LOG}`;
    const victim = new Victim(await ProxyProcess.start(name, httpConfig(app.app.port, { ...parts, manager })), app);
    // What the first requests load is not the attack's.
    const warm = await Http2Peer.connect(victim.proxy.port);
    for (let i = 0; i < 200; i++) expect((await warm.ask()).status).toBe(200);
    warm.destroy();
    return victim;
  }

  /**
   * Runs the attack beside a client that goes on asking.
   * @throws when that client or a new one is not served, or memory grows by more than `growthMib`
   */
  async under<T>(attack: (port: number) => Promise<T>, growthMib = GROWTH_MIB): Promise<T> {
    const before = this.proxy.rssBytes();
    let peak = before;
    let over = false;
    let served = 0;
    const bystander = await Http2Peer.connect(this.proxy.port);
    const asking = (async () => {
      while (!over) {
        const { status } = await bystander.ask({ path: '/bystander' }, 10_000);
        if (status !== 200) throw new Error(`a bystander got ${status}`);
        served++;
        peak = Math.max(peak, this.proxy.rssBytes());
        await sleep(10);
      }
    })();
    // Who waits for it below; until then it must not count as unhandled.
    asking.catch(() => {});
    try {
      const result = await attack(this.proxy.port);
      const soFar = served;
      await Promise.race([asking, eventually('the bystander is served', () => served > soFar, 10_000)]);
      const later = await Http2Peer.connect(this.proxy.port);
      expect((await later.ask({ path: '/later' }, 10_000)).status).toBe(200);
      later.destroy();
      this.growthMib = (peak - before) / MIB;
      expect(this.growthMib, 'MiB of memory more than before the attack').toBeLessThan(growthMib);
      return result;
    } finally {
      over = true;
      await asking;
      bystander.destroy();
    }
  }

  /** Waits for the end of an attacker's connection. Envoy ends many floods without GOAWAY, so only ours has to tell `code`. */
  async ends(peer: Http2Peer, code: keyof typeof CODE): Promise<void> {
    await peer.untilClosed(15_000);
    const { goAway } = outcomeOf(peer);
    if (this.proxy.name === 'outrigger') expect(goAway, peer.describe()).toBe(code);
    peer.destroy();
  }

  /** Waits for a counter of HTTP/2 to count. */
  counted(name: string, at: 'http2' | 'http.test' = 'http2'): Promise<number> {
    return this.proxy.stat(`${at}.${name}`, (value) => value > 0);
  }

  /** Flags and details of the request with that path. */
  async logged(path: string): Promise<string> {
    const line = await this.proxy.logged((text) => text.startsWith(`${path} `));
    return line.slice(path.length + 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.app.app[Symbol.asyncDispose]();
  }
}
