/** What the encoder does with a value that is not in its table. */
export const POLICY = {
  /** A literal that nobody may ever index (RFC 7541 §7.1.3): who could probe the table could guess the secret. */
  NEVER: 0,
  /** A literal: the value is another one in each message, or almost. */
  LITERAL: 1,
  /**
   * A literal, and indexed when the value is one of the last few that the name had. How often that happens is how often
   * the entry will be of use: a length or a date that repeats enters, one that does not pushes nothing out.
   */
  SECOND_SIGHT: 2,
  /** Indexed at once: the value hardly ever varies on one connection. */
  FIRST_SIGHT: 3,
} as const;

export type Policy = (typeof POLICY)[keyof typeof POLICY];

const SECRETS = [
  'authorization',
  'proxy-authorization',
  'set-cookie',
  'x-api-key',
  'x-auth-token',
  'x-access-token',
  'x-csrf-token',
  'x-xsrf-token',
  'x-amz-security-token',
  'x-goog-api-key',
  'x-vault-token',
];

const UNIQUE = [
  'x-request-id',
  'x-correlation-id',
  'traceparent',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-cloud-trace-context',
  'x-envoy-upstream-service-time',
  'sec-websocket-key',
  'sec-websocket-accept',
];

const STEADY = [
  ':authority',
  ':method',
  ':scheme',
  ':status',
  ':protocol',
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'accept-ranges',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'cache-control',
  'content-encoding',
  'content-language',
  'content-type',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-status',
  'origin',
  'pragma',
  'server',
  'strict-transport-security',
  'te',
  'trailer',
  'user-agent',
  'vary',
  'via',
  'x-content-type-options',
  'x-envoy-attempt-count',
  'x-forwarded-proto',
  'x-frame-options',
  'x-powered-by',
];

const BY_NAME: ReadonlyMap<string, Policy> = new Map([
  ...SECRETS.map((name): [string, Policy] => [name, POLICY.NEVER]),
  ...UNIQUE.map((name): [string, Policy] => [name, POLICY.LITERAL]),
  ...STEADY.map((name): [string, Policy] => [name, POLICY.FIRST_SIGHT]),
]);

/** The policy for a lower-case name. */
export function policyOf(name: string): Policy {
  return BY_NAME.get(name) ?? POLICY.SECOND_SIGHT;
}
