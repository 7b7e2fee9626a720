import { parentPort, workerData } from 'node:worker_threads';
import { builtinRegistry } from '../../filters/index.ts';
import { loadConfig } from '../config/load.ts';
import { createLogger } from '../observe/log.ts';
import { createProxyView } from '../proxy-view.ts';
import { SidecarProxy } from '../sidecar-proxy.ts';
import type {
  AnswerMessage,
  CommandMessage,
  CommandName,
  Notice,
  ReadyMessage,
  WorkerCommands,
  WorkerStart,
} from './messages.ts';
import { sharedMemoryOf } from './shared-memory-port.ts';

/** A worker thread: one whole proxy with a listening socket of its own for each address (SO_REUSEPORT). */
const start = workerData as WorkerStart;
const load = (text: string) => loadConfig(start.file, { registry: builtinRegistry(), text });
const tell = (notice: Notice): void => parentPort?.postMessage(notice);
const log = createLogger({ level: start.logLevel });
const proxy = new SidecarProxy({
  config: load(start.config),
  concurrency: 1,
  log,
  drainTimeMs: start.drainTimeMs,
  probe: start.probe,
  ...(start.filterDir === undefined ? {} : { filterDir: start.filterDir }),
  ...(start.splice === undefined ? {} : { splice: start.splice }),
  onCustomFilter: (stats) => {
    void import('../filter/supervision.ts').then(({ superviseWorkerThread }) => {
      const watched = superviseWorkerThread(log.component('filter'), stats);
      tell({ watched });
    });
  },
  ...(start.inherited === undefined ? {} : { takeover: { sockets: [start.inherited] } }),
  thread: {
    shared: sharedMemoryOf(start.sharedPort),
    ports: start.ports,
    servesPipes: start.servesPipes,
    slot: start.slot,
    threads: start.threads,
    left: start.left,
    keep: (address, descriptors) => tell({ keep: { address, descriptors } }),
    handOver: (address, slot, fd) => tell({ handOver: { address, slot, fd } }),
  },
});
const view = createProxyView(proxy);

const commands: { [Name in CommandName]: (argument: WorkerCommands[Name]['argument']) => unknown } = {
  stats: () => view.stats(),
  resetCounters: () => view.resetCounters(),
  listeners: () => view.listeners(),
  clusters: () => view.clusters(),
  threadTimes: () => view.threadTimes(),
  denials: () => view.denials(),
  certificates: () => view.certificates(),
  tapConfigIds: () => view.tapConfigIds(),
  pollTap: (poll) => view.pollTap(poll),
  detachTap: (reader) => view.detachTap(reader),
  reload: (text) => proxy.reload(load(text)),
  failHealthChecks: (fail) => proxy.failHealthChecks(fail),
  drainListeners: (options) => proxy.drainListeners(options),
  reopenLogs: () => proxy.reopenLogs(),
  adopt: ({ address, fd }) => proxy.adopt(address, fd),
  open: () => proxy.open(),
  listeningSockets: () => proxy.listeningSockets(),
  retire: (terms) => proxy.retire(terms),
  drain: () => proxy.drain(),
  close: () => proxy.close(),
};

async function answer({ id, name, argument }: CommandMessage): Promise<AnswerMessage> {
  try {
    return { id, result: await (commands[name] as (argument: unknown) => unknown)(argument) };
  } catch (error) {
    return { id, error: (error as Error).message };
  }
}

parentPort?.on('message', async (message: CommandMessage) => {
  parentPort?.postMessage(await answer(message));
  if (message.name === 'close') parentPort?.close();
});

await proxy.start();
parentPort?.postMessage({ listeners: proxy.listeners() } satisfies ReadyMessage);
