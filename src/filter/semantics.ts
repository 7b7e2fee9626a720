/** What the planner must know of a filter to decide where it may run (serverless paper, Table 2). */
export interface FilterSemantics {
  /** Which sidecar of a call may run it: the sender's (egress), the receiver's (ingress), or either. */
  readonly side: 'ingress' | 'egress' | 'either';
  /** State that outlives a request: none, per connection, or for the whole process. */
  readonly state: 'none' | 'connection' | 'process';
  /** Whether it reads or changes bodies. */
  readonly body: 'none' | 'read' | 'write';
}
