import type { VerdictMaps } from './verdict-program.ts';
export class AgentMaps {
  static async connect(_path: string): Promise<AgentMaps> {
    throw new Error('no agent');
  }
  take(): VerdictMaps | undefined {
    return undefined;
  }
}
