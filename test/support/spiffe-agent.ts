import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, unlinkSync } from 'node:fs';
import { type Metadata, Server, ServerCredentials, type ServerWritableStream, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type { Issued, TestCa } from './pki.ts';

/** The part of the SPIFFE Workload API that the tests speak, as its specification has it. */
const PROTO = `
syntax = "proto3";
message X509SVIDRequest {}
message X509SVID {
  string spiffe_id = 1;
  bytes x509_svid = 2;
  bytes x509_svid_key = 3;
  bytes bundle = 4;
  string hint = 5;
}
message X509SVIDResponse {
  repeated X509SVID svids = 1;
  repeated bytes crl = 2;
  map<string, bytes> federated_bundles = 3;
}`;

const { root } = protobuf.parse(PROTO, { keepCase: true });
const Request = root.lookupType('X509SVIDRequest');
const Response = root.lookupType('X509SVIDResponse');

/** One identity of an answer. */
export interface AgentSvid {
  readonly id: string;
  readonly issued: Issued;
  readonly authorities: readonly TestCa[];
  readonly hint?: string;
}

export interface AgentAnswer {
  readonly svids: readonly AgentSvid[];
  readonly federated?: Readonly<Record<string, TestCa>>;
}

const der = (pem: string): Buffer => new X509Certificate(pem).raw;

function encode({ svids, federated = {} }: AgentAnswer): object {
  return {
    svids: svids.map(({ id, issued, authorities, hint = '' }) => ({
      spiffe_id: id,
      x509_svid: Buffer.concat((issued.cert.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(der)),
      x509_svid_key: createPrivateKey(issued.key).export({ type: 'pkcs8', format: 'der' }),
      bundle: Buffer.concat(authorities.map(({ cert }) => der(cert))),
      hint,
    })),
    federated_bundles: Object.fromEntries(
      Object.entries(federated).map(([domain, { cert }]) => [`spiffe://${domain}`, der(cert)]),
    ),
  };
}

type Call = ServerWritableStream<object, object>;

/** An agent as SPIRE's: a gRPC server on a Unix socket, which sends an answer to each call whenever there is a new one. */
export class SpiffeAgent implements AsyncDisposable {
  readonly path: string;
  /** Calls so far, refused ones included. */
  calls = 0;
  /** What the last call said. */
  metadata: Metadata | undefined = undefined;
  private answer: AgentAnswer | undefined;
  private server: Server | undefined = undefined;
  private readonly open = new Set<Call>();

  private constructor(path: string, answer: AgentAnswer | undefined) {
    this.path = path;
    this.answer = answer;
  }

  /** @param answer undefined denies: the agent does not know who asks. */
  static async start(path: string, answer: AgentAnswer | undefined): Promise<SpiffeAgent> {
    const agent = new SpiffeAgent(path, answer);
    await agent.listen();
    return agent;
  }

  async listen(): Promise<void> {
    if (existsSync(this.path)) unlinkSync(this.path);
    const server = new Server();
    server.addService(
      {
        FetchX509SVID: {
          path: '/SpiffeWorkloadAPI/FetchX509SVID',
          requestStream: false,
          responseStream: true,
          requestSerialize: (value: object) => Buffer.from(Request.encode(value).finish()),
          requestDeserialize: (bytes: Buffer) => Request.decode(bytes),
          responseSerialize: (value: object) => Buffer.from(Response.encode(Response.fromObject(value)).finish()),
          responseDeserialize: (bytes: Buffer) => Response.decode(bytes),
        },
      },
      { FetchX509SVID: (call: Call) => this.serve(call) },
    );
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${this.path}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    this.server = server;
  }

  private serve(call: Call): void {
    this.calls++;
    this.metadata = call.metadata;
    if (call.metadata.get('workload.spiffe.io')[0] !== 'true') {
      call.emit('error', { code: status.INVALID_ARGUMENT, details: 'security header missing' });
      return;
    }
    if (this.answer === undefined) {
      call.emit('error', { code: status.PERMISSION_DENIED, details: 'no identity issued' });
      return;
    }
    this.open.add(call);
    call.on('cancelled', () => this.open.delete(call));
    call.write(encode(this.answer));
  }

  /** Gives every call another answer; undefined denies, those that are open too. */
  give(answer: AgentAnswer | undefined): void {
    this.answer = answer;
    for (const call of this.open) {
      if (answer === undefined) call.emit('error', { code: status.PERMISSION_DENIED, details: 'no identity issued' });
      else call.write(encode(answer));
    }
    if (answer === undefined) this.open.clear();
  }

  stop(): void {
    this.open.clear();
    this.server?.forceShutdown();
    this.server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }
}
