import net from 'node:net';
import { AGENT_LIMITS, AGENT_VERSION, readAgentMessage } from './agent-messages.ts';
import { closeAll, DescriptorChannel } from './descriptor-passing.ts';
import type { VerdictMaps } from './verdict-program.ts';

/** Sets of maps from the node agent, one ahead of what is used. */
export class AgentMaps {
  private readonly path: string;
  private next: VerdictMaps | undefined = undefined;

  private constructor(path: string) {
    this.path = path;
  }

  /** Gets a first set. @throws why the agent gives none */
  static async connect(path: string): Promise<AgentMaps> {
    const maps = new AgentMaps(path);
    maps.next = await requestMaps(path);
    return maps;
  }

  /** A set that nobody else has; undefined while the next one is on its way. */
  take(): VerdictMaps | undefined {
    const taken = this.next;
    this.next = undefined;
    if (taken !== undefined) void this.fetch();
    return taken;
  }

  private async fetch(): Promise<void> {
    try {
      this.next = await requestMaps(this.path);
    } catch {
      // Without the agent the sets that are there serve on; sessions beyond them are served in user space.
    }
  }
}

/** One connection, one set. @throws the agent's reason, or that it cannot be reached */
async function requestMaps(path: string): Promise<VerdictMaps> {
  const socket = net.connect({ path, allowHalfOpen: true }).pause();
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error) => reject(new Error(`the node agent cannot be reached: ${error.message}`)));
  });
  const channel = new DescriptorChannel(socket);
  try {
    await channel.send(Buffer.from(JSON.stringify({ version: AGENT_VERSION })), [], AGENT_LIMITS.timeoutMs);
    const message = await channel.receive({ ...AGENT_LIMITS, maxDescriptors: 4 });
    const answer = message === undefined ? undefined : readAgentMessage(message.payload);
    const [slots, sockets, directions, notices] = message?.descriptors ?? [];
    if (slots === undefined || sockets === undefined || directions === undefined || notices === undefined) {
      closeAll(message?.descriptors ?? []);
      throw new Error(`the node agent gives no maps: ${answer?.problem ?? 'it says nothing'}`);
    }
    return { slots, sockets, directions, notices };
  } finally {
    channel.close();
  }
}
