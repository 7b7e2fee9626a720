import { TimerEntry } from '../network/timer.ts';

/** What a router's timers are for. */
export const ROUTER_TIME = { ROUTE: 0, PER_TRY: 1, PER_TRY_IDLE: 2, BACK_OFF: 3 } as const;

/** Who is told when one of its times is up. */
export interface TimedRouter {
  onRouteTimeout(): void;
  onPerTryTimeout(): void;
  onPerTryIdleTimeout(): void;
  onBackOffOver(): void;
}

/** One timer of a router, made on first use and kept for the requests that follow. */
export class RouterTimer extends TimerEntry {
  private readonly router: TimedRouter;
  private readonly kind: number;

  constructor(router: TimedRouter, kind: number) {
    super();
    this.router = router;
    this.kind = kind;
  }

  override onTimeout(): void {
    switch (this.kind) {
      case ROUTER_TIME.ROUTE:
        this.router.onRouteTimeout();
        break;
      case ROUTER_TIME.PER_TRY:
        this.router.onPerTryTimeout();
        break;
      case ROUTER_TIME.PER_TRY_IDLE:
        this.router.onPerTryIdleTimeout();
        break;
      default:
        this.router.onBackOffOver();
    }
  }
}
