import { connectTimes } from './probe-connection.ts';

/** Connects as another user: `check` starts it as that one. Arguments: host, port, source or '', times. */
const [host = '', port, source, times] = process.argv.slice(2);
process.stdout.write(await connectTimes(host, Number(port), source || undefined, Number(times)));
