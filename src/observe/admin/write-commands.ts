import { LOG_LEVELS, parseLogLevel, type RootLogger } from '../log.ts';
import type { Command, CommandContext } from './command.ts';
import { type AdminReply, OK, textReply } from './reply.ts';

function isSet(query: URLSearchParams, parameter: string): boolean {
  const value = query.get(parameter);
  return value !== null && value !== 'false';
}

const LOGGING_USAGE = `
usage: /logging?<name>=<level> (change single level)
usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)
usage: /logging?level=<level> (change all levels)
levels: ${LOG_LEVELS.join(' ')}
`;

/** One change of a level; no component means all. */
interface LevelChange {
  readonly component: string | undefined;
  readonly level: string;
}

/** Changes log levels, all or none, and lists them. */
function logging({ log, query }: CommandContext): AdminReply {
  const problem = changeLevels(log, levelChanges(query));
  const active = [...log.levels()].map(([name, level]) => `  ${name}: ${level}\n`).join('');
  const list = `active loggers:\n${active}\n`;
  return problem === undefined ? textReply(list) : textReply(`error: ${problem}\n${LOGGING_USAGE}${list}`, 400);
}

function levelChanges(query: URLSearchParams): LevelChange[] {
  return [...query].flatMap(([name, value]): LevelChange[] => {
    if (name === 'level') return [{ component: undefined, level: value }];
    if (name !== 'paths') return [{ component: name, level: value }];
    return value.split(',').map((part) => {
      const colon = part.lastIndexOf(':');
      return { component: part.slice(0, Math.max(0, colon)), level: part.slice(colon + 1) };
    });
  });
}

function changeLevels(log: RootLogger, changes: readonly LevelChange[]): string | undefined {
  for (const { component, level } of changes) {
    if (parseLogLevel(level) === undefined) return 'unknown logger level';
    if (component !== undefined && !log.levels().has(component)) return 'unknown logger name';
  }
  for (const { component, level } of changes) {
    const parsed = parseLogLevel(level);
    if (parsed !== undefined) log.setLevel(parsed, component);
  }
  return undefined;
}

/** Commands that change something. */
export const WRITE_COMMANDS: readonly Command[] = [
  {
    path: '/logging',
    method: 'POST',
    help: 'query or change logging levels',
    parameters: {
      level: `Changes all levels; one of (${LOG_LEVELS.join(', ')})`,
      paths: 'Changes several: <name1>:<level1>,<name2>:<level2>',
    },
    run: logging,
  },
  {
    path: '/healthcheck/fail',
    method: 'POST',
    help: 'cause the server to fail health checks',
    run: ({ view }) => {
      view.failHealthChecks(true);
      return OK;
    },
  },
  {
    path: '/healthcheck/ok',
    method: 'POST',
    help: 'cause the server to pass health checks',
    run: ({ view }) => {
      view.failHealthChecks(false);
      return OK;
    },
  },
  {
    path: '/drain_listeners',
    method: 'POST',
    help: 'drain listeners',
    parameters: {
      graceful: 'Ask connections to end; the listeners close after the drain time',
      skip_exit: 'Ask connections to end; the listeners do not close',
      inboundonly: 'Only listeners whose traffic_direction is INBOUND',
    },
    run: ({ view, query }) => {
      const [graceful, skipExit] = [isSet(query, 'graceful'), isSet(query, 'skip_exit')];
      view.drainListeners({ inboundOnly: isSet(query, 'inboundonly'), graceful, skipExit });
      return OK;
    },
  },
  {
    path: '/reset_counters',
    method: 'POST',
    help: 'reset all counters to zero',
    run: async ({ view }) => {
      await view.resetCounters();
      return OK;
    },
  },
  {
    path: '/reopen_logs',
    method: 'POST',
    help: 'reopen access logs',
    run: ({ view }) => {
      view.reopenLogs();
      return OK;
    },
  },
  {
    path: '/quitquitquit',
    method: 'POST',
    help: 'exit the server',
    run: ({ view }) => {
      view.quit();
      return OK;
    },
  },
];
