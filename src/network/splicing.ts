import type { Logger } from '../filter/env.ts';
import type { SpliceSettings } from '../splice-settings.ts';
import type { Splicer } from './splicer.ts';

/** The splicer of a thread, which is loaded with the first TCP proxy. */
export class Splicing {
  /** Undefined until it is loaded, and where the kernel does not permit it. */
  splicer: Splicer | undefined = undefined;
  /** Sessions are left to the kernel however short those before them were. */
  readonly isForced: boolean;
  private readonly settings: SpliceSettings;
  private readonly log: Logger;
  private loading: Promise<void> | undefined = undefined;

  constructor(settings: SpliceSettings, log: Logger) {
    this.settings = settings;
    this.isForced = settings.mode === 'on';
    this.log = log;
  }

  /** @throws why sessions cannot be spliced, with mode `on` */
  load(): Promise<void> {
    this.loading ??= this.settings.mode === 'off' ? Promise.resolve() : this.find();
    return this.loading;
  }

  private async find(): Promise<void> {
    const { mode, agent, isQuiet } = this.settings;
    try {
      const { Splicer } = await import('./splicer.ts');
      if (agent === undefined) {
        const { createSpliceMaps } = await import('../kernel/splice-maps.ts');
        this.splicer = new Splicer(createSpliceMaps, this.log);
      } else {
        const { AgentMaps } = await import('../kernel/agent-maps.ts');
        const maps = await AgentMaps.connect(agent);
        this.splicer = new Splicer(() => maps.take(), this.log);
      }
    } catch (error) {
      if (mode === 'on') throw error;
      if (isQuiet === true) return;
      this.log.info('TCP sessions are served in user space: the kernel cannot splice them', {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }

  close(): void {
    this.splicer?.close();
    this.splicer = undefined;
  }
}
