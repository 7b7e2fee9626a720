import { CONNECTIONS } from './hostile/connections.ts';
import { MESSAGES } from './hostile/messages.ts';
import { hostileUpstreams } from './hostile/run.ts';
import { STREAMS } from './hostile/streams.ts';

hostileUpstreams('outrigger', [...MESSAGES, ...STREAMS, ...CONNECTIONS]);
