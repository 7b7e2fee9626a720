import type * as v from 'valibot';
import {
  bool,
  enumOf,
  list,
  mapOf,
  message,
  nonEmptyString,
  optional,
  string,
  uint32,
  unsupported,
} from '../schema/building-blocks.ts';
import { AccessLogs } from './access-log.ts';
import { Filters } from './filters.ts';
import { Retries, Routes } from './routes.ts';
import { address, cidr, span } from './units.ts';
import { Upstream } from './upstream.ts';

/** The sidecar file: Outrigger's short form of a configuration. docs/sidecar-file.md explains it. */

/** How HTTP is spoken. The defaults are friendlier than Envoy's: HTTP/1.0 is answered, the case of names is kept. */
const HttpOptions = message({
  accept_http_10: optional(bool(), true),
  keep_header_case: optional(bool(), true),
  websocket: optional(bool(), true),
  server_name: optional(string({ minLength: 1 })),
  use_remote_address: optional(bool(), true),
  xff_num_trusted_hops: optional(uint32(), 0),
  request_id: optional(bool(), true),
  normalize_path: optional(bool(), true),
  merge_slashes: optional(bool(), false),
  /** What becomes of `%2F` and `%5C`; REJECT unless given where a filter decides by the path, else KEEP. */
  escaped_slashes: optional(enumOf(['KEEP', 'REJECT', 'REDIRECT', 'UNESCAPE'])),
  strip_port: optional(bool(), false),
  max_request_headers_kb: optional(uint32({ min: 1, max: 8192 })),
  stream_idle_timeout: optional(span()),
  request_timeout: optional(span()),
  request_headers_timeout: optional(span()),
  /** Of one HTTP/2 connection; Envoy's 1024 unless given. */
  max_concurrent_streams: optional(uint32({ min: 1, max: 2147483647 })),
  /** HTTP/2 clients are pinged so often. */
  keepalive: optional(span()),
});
export type HttpOptions = v.InferOutput<typeof HttpOptions>;

/** How connections are served, wherever they come from and go to. */
const servingFields = {
  /** TCP passes bytes, the others requests: HTTP those of HTTP/1.1 and HTTP/2. GRPC and HTTP2 expect HTTP/2 of the app. */
  protocol: optional(enumOf(['HTTP', 'TCP', 'HTTP1', 'HTTP2', 'GRPC']), 'HTTP'),
  filters: optional(Filters, []),
  access_log: optional(AccessLogs),
  /** For the whole response, retries included; Envoy's 15 s unless given. */
  timeout: optional(span()),
  /** A TCP session, or a connection without requests, is closed after so long. */
  idle_timeout: optional(span()),
  retries: optional(Retries),
  http: optional(HttpOptions, {}),
} as const;

/** What belongs to one listening address. */
const listenerFields = {
  listen: address(),
  app: optional(Upstream),
  ...servingFields,
  /** As for ports, or AUTO: each connection tells whether it speaks HTTP, and bytes of those that do not are passed. */
  protocol: optional(enumOf(['HTTP', 'TCP', 'HTTP1', 'HTTP2', 'GRPC', 'AUTO']), 'HTTP'),
  /** With AUTO: on these ports the server speaks first, and nobody waits for the client. */
  server_first_ports: optional(list(uint32({ min: 1, max: 65535 }))),
  /** With AUTO: listen for the server while the client is silent; true unless given. */
  race_server_first: optional(bool()),
  /** Connections begin with a PROXY protocol header, or may. */
  proxy_protocol: optional(enumOf(['REQUIRED', 'OPTIONAL'])),
  routes: optional(Routes),
} as const;

const ListenerEntry = message({ name: nonEmptyString(), ...listenerFields });
export type ListenerEntry = v.InferOutput<typeof ListenerEntry>;

const sharedFields = {
  admin: optional(address()),
  node: optional(message({ id: optional(string(), ''), cluster: optional(string(), '') })),
  upstreams: optional(mapOf(Upstream), {}),
} as const;

/** What is spoken at one port of intercepted connections. */
const InterceptedPort = message(servingFields);
export type InterceptedPort = v.InferOutput<typeof InterceptedPort>;

const ports = () => optional(mapOf(InterceptedPort), {});

/** How connections are served that iptables redirect to the proxy: it stands before every port of a pod. */
const Intercept = message({
  /** Who the pod is, and whom it believes; without, nothing is encrypted. */
  identity: optional(
    message({
      certificate: nonEmptyString(),
      key: nonEmptyString(),
      /** Certificates of the authority that vouches for the workloads of the trust domain. */
      authority: nonEmptyString(),
      trust_domain: nonEmptyString(),
    }),
  ),
  /** What others ask of this pod. */
  inbound: optional(
    message({
      port: optional(uint32({ min: 1, max: 65535 }), 15006),
      /** How connections get here; TPROXY needs CAP_NET_ADMIN. */
      mode: optional(enumOf(['REDIRECT', 'TPROXY']), 'REDIRECT'),
      /** STRICT lets nobody in without an identity, PERMISSIVE also clear text; STRICT with an identity, else OFF. */
      mtls: optional(enumOf(['STRICT', 'PERMISSIVE', 'OFF'])),
      /** Ports that clear text may reach in any case, such as those of health checks. */
      plain_ports: optional(list(uint32({ min: 1, max: 65535 })), []),
      /** Of others nothing is known but bytes. */
      ports: ports(),
    }),
    {},
  ),
  /** What this pod asks of others. */
  outbound: optional(
    message({
      port: optional(uint32({ min: 1, max: 65535 }), 15001),
      /** Ranges in which every pod has a proxy: connections there are encrypted. Others go as they come. */
      mesh: optional(list(cidr()), []),
      /** Ports within the mesh. Of others nothing is known but bytes. */
      ports: ports(),
    }),
    {},
  ),
  /** To where clients wanted to go, the TLS handshake included. */
  connect_timeout: optional(span(), '10s'),
  /** Whether the listeners take IPv6, too. */
  ipv6: optional(bool(), true),
  /** Of all connections and requests. */
  access_log: optional(AccessLogs),
});
export type Intercept = v.InferOutput<typeof Intercept>;

/** The ports of a pod, by interception. */
export const InterceptFile = message(
  { admin: sharedFields.admin, node: sharedFields.node, intercept: Intercept },
  unsupported(
    'interception forwards to where clients wanted to go',
    'upstreams',
    'listeners',
    'app',
    'listen',
    'routes',
  ),
);
export type InterceptFile = v.InferOutput<typeof InterceptFile>;

/** One listening address. */
export const SidecarFile = message({
  ...sharedFields,
  name: optional(nonEmptyString(), 'sidecar'),
  ...listenerFields,
});
export type SidecarFile = v.InferOutput<typeof SidecarFile>;

/** Several listening addresses. */
export const SidecarGroup = message(
  { ...sharedFields, listeners: list(ListenerEntry, { min: 1 }) },
  unsupported('write it at each of the listeners', 'name', ...Object.keys(listenerFields)),
);
export type SidecarGroup = v.InferOutput<typeof SidecarGroup>;
