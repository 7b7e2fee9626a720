import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { parseSource } from '../../config/document.ts';
import { TapRequest } from '../../config/schema/tap.ts';
import type { Command, CommandContext } from './command.ts';
import { AdminError, type AdminReply } from './reply.ts';
import type { ProxyView } from './view.ts';

/** How long a trace may wait for its reader. */
const POLL_MS = 50;
/** Readers at the same time. */
const MAX_READERS = 4;

const readers = new WeakMap<ProxyView, number>();

/** `POST /tap`: attaches to the tap filters of a `config_id`, and streams what they record until the client goes away. */
export const TAP_COMMAND: Command = {
  path: '/tap',
  method: 'POST',
  help: 'tap filter control: streams traces, until the client goes away',
  run: tap,
};

async function tap({ view, body }: CommandContext): Promise<AdminReply> {
  const { raw, request } = readRequest(body);
  const ids = await view.tapConfigIds();
  if (!ids.includes(request.config_id)) {
    const known = ids.length === 0 ? 'No extension has registered any.' : `Registered: ${ids.join(', ')}`;
    throw badRequest(`Unknown config id '${request.config_id}'. No extension has registered with this id. ${known}`);
  }
  if ((readers.get(view) ?? 0) >= MAX_READERS) {
    throw badRequest(`${MAX_READERS} /tap admin streams are attached already. Detach one.`);
  }
  return {
    status: 200,
    contentType: 'text/plain; charset=UTF-8',
    body: '',
    stream: (gone) => read(view, raw, request, gone),
  };
}

function badRequest(problem: string): AdminError {
  return new AdminError(400, `${problem}\n`);
}

/** The body as it came and as it is understood. @throws AdminError that says what is wrong with it */
function readRequest(body: string): { raw: unknown; request: TapRequest } {
  if (body.trim() === '') throw badRequest('/tap requires a JSON/YAML body');
  const source = parseSource(body);
  if (!('data' in source)) throw badRequest(source.map(({ message }) => message).join('\n'));
  const result = v.safeParse(TapRequest, source.data);
  if (!result.success) {
    throw badRequest(result.issues.map((issue) => `${v.getDotPath(issue) ?? 'the body'}: ${issue.message}`).join('\n'));
  }
  const [sink] = result.output.tap_config.output_config.sinks;
  if (sink?.file_per_tap !== undefined) {
    throw badRequest('file_per_tap: files are written only where the configuration of the proxy says so');
  }
  return { raw: source.data, request: result.output };
}

/** Traces as they come; for `buffered_admin` all at once, when there are enough or the time is over. */
async function* read(view: ProxyView, raw: unknown, request: TapRequest, gone: AbortSignal): AsyncGenerator<string> {
  const reader = randomUUID();
  const buffered = request.tap_config.output_config.sinks[0]?.buffered_admin;
  const timeoutMs = buffered?.timeout ?? 0;
  const deadlineMs = timeoutMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  const kept: string[] = [];
  readers.set(view, (readers.get(view) ?? 0) + 1);
  try {
    while (!gone.aborted) {
      const { traces } = await view.pollTap({ reader, request: raw });
      if (buffered === undefined) yield* traces;
      else {
        kept.push(...traces.slice(0, buffered.max_traces - kept.length));
        if (kept.length >= buffered.max_traces || performance.now() >= deadlineMs) {
          yield* kept;
          return;
        }
      }
      if (traces.length === 0) await sleep(POLL_MS, undefined, { signal: gone, ref: false }).catch(() => undefined);
    }
  } finally {
    readers.set(view, (readers.get(view) ?? 1) - 1);
    await view.detachTap(reader);
  }
}
