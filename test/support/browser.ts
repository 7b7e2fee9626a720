import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Chromium, where one is installed. */
export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);

/** A browser without a window, that asks nobody anything by itself. */
export const CHROMIUM_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly sessionId?: string;
  readonly result?: {
    readonly result?: { readonly value?: unknown };
    readonly targetId?: string;
    readonly sessionId?: string;
    /** Of a screenshot or a print, base64. */
    readonly data?: string;
  };
  readonly error?: { readonly message: string };
}

/** One page in a browser of its own, driven over the DevTools protocol. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #events: { readonly method: string; readonly params: Readonly<Record<string, unknown>> }[] = [];
  #lastId = 0;
  #session: string | undefined;

  private constructor(child: ChildProcess, socket: WebSocket) {
    this.#child = child;
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as Answer;
      this.#waiting.get(answer.id ?? -1)?.(answer);
      if (answer.method !== undefined) this.#events.push({ method: answer.method, params: answer.params ?? {} });
    });
  }

  /** @param profile an empty folder */
  static async open(url: string, profile: string): Promise<Browser> {
    const args = [...CHROMIUM_FLAGS, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'];
    const child = spawn(CHROMIUM as string, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const address = await new Promise<string>((resolve, reject) => {
      let said = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        const found = /DevTools listening on (ws:\S+)/.exec(said);
        if (found !== null) resolve(found[1] as string);
      });
      child.once('exit', () => reject(new Error(`Chromium ended: ${said}`)));
    });
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    const browser = new Browser(child, socket);
    const { targetId } = (await browser.#call('Target.createTarget', { url })) ?? {};
    browser.#session = (await browser.#call('Target.attachToTarget', { targetId, flatten: true }))?.sessionId;
    return browser;
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const parameters = { expression, returnByValue: true, awaitPromise: true };
    return (await this.#call('Runtime.evaluate', parameters))?.result?.value;
  }

  /** What the page has told since its domain was enabled, oldest first. */
  events(method: string): Readonly<Record<string, unknown>>[] {
    return this.#events.filter((event) => event.method === method).map(({ params }) => params);
  }

  /** A method of the DevTools protocol. @throws Error with the browser's words */
  async call(method: string, params: object = {}): Promise<Answer['result']> {
    return this.#call(method, params);
  }

  async #call(method: string, params: object): Promise<Answer['result']> {
    const id = ++this.#lastId;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(
      JSON.stringify({ id, method, params, ...(this.#session === undefined ? {} : { sessionId: this.#session }) }),
    );
    const { result, error } = await answer;
    this.#waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#socket.close();
    this.#child.kill('SIGKILL');
    await ended;
  }
}
