import { chmodSync, rmSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { AGENT_LIMITS, AGENT_VERSION, type AgentAnswer, readAgentMessage } from './agent-messages.ts';
import { closeAll, DescriptorChannel } from './descriptor-passing.ts';
import { createSpliceMaps } from './splice-maps.ts';

export interface NodeAgentOptions {
  /** Path of the Unix socket; what lies there is replaced. */
  readonly path: string;
  /** Users whose processes get maps; the kernel says whose a process is. */
  readonly allowedUids: readonly number[];
  /** Hears of every request and how it went. */
  readonly onRequest: (peer: { readonly pid: number; readonly uid: number }, problem: string | undefined) => void;
}

/**
 * The privileged helper of a node: makes bpf maps with the program attached, and gives their descriptors to sidecars,
 * which have no capabilities. Every request gets maps of its own, so no sidecar reaches another one's sockets. The agent
 * keeps nothing: maps end with the sidecar that has them, and live on when the agent ends.
 */
export class NodeAgent {
  private readonly options: NodeAgentOptions;
  private readonly server: Server;

  private constructor(options: NodeAgentOptions) {
    this.options = options;
    this.server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => void this.serve(socket));
  }

  /** Makes maps once, so that an agent that cannot help does not start. @throws BpfError, or why it cannot listen */
  static async listen(options: NodeAgentOptions): Promise<NodeAgent> {
    closeAll(Object.values(createSpliceMaps()) as number[]);
    const agent = new NodeAgent(options);
    rmSync(options.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      agent.server.once('error', reject);
      agent.server.listen(options.path, resolve);
    });
    // Everybody may knock; the credentials decide.
    chmodSync(options.path, 0o666);
    return agent;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private async serve(socket: Socket): Promise<void> {
    const channel = new DescriptorChannel(socket);
    let peer = { pid: 0, uid: -1 };
    let problem: string | undefined;
    try {
      peer = channel.peer();
      problem = await this.answer(channel, peer.uid);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    } finally {
      channel.close();
    }
    this.options.onRequest(peer, problem);
  }

  /** @returns why the peer got nothing */
  private async answer(channel: DescriptorChannel, uid: number): Promise<string | undefined> {
    const message = await channel.receive({ ...AGENT_LIMITS, maxDescriptors: 0 });
    if (message === undefined) return 'the peer asked for nothing';
    const problem = this.refusal(message.payload, uid);
    if (problem !== undefined) {
      await send(channel, { version: AGENT_VERSION, problem }, []);
      return problem;
    }
    const { slots, sockets, directions, notices } = createSpliceMaps();
    const descriptors = [slots, sockets, directions, notices];
    try {
      await send(channel, { version: AGENT_VERSION }, descriptors);
    } finally {
      closeAll(descriptors);
    }
    return undefined;
  }

  private refusal(payload: Buffer, uid: number): string | undefined {
    if (!this.options.allowedUids.includes(uid)) return `user ${uid} is not among those that the node agent serves`;
    const version = readAgentMessage(payload)?.version;
    if (version !== AGENT_VERSION) return `the node agent speaks version ${AGENT_VERSION}, the sidecar ${version}`;
    return undefined;
  }
}

function send(channel: DescriptorChannel, answer: AgentAnswer, descriptors: readonly number[]): Promise<void> {
  return channel.send(Buffer.from(JSON.stringify(answer)), descriptors, AGENT_LIMITS.timeoutMs);
}
