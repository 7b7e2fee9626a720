import { connect } from 'node:http2';
import { grpcMessage } from '../load/grpc-message.ts';
import { ATTEMPT_TIMEOUT_MS, type Probe } from './probe.ts';

/** `status 200`, with gRPC `status 200, grpc-status 14` unless that is 0; undefined without an answer. */
export function askHttp2({ port, path, isGrpc }: Probe): Promise<string | undefined> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const finish = (answer: string | undefined): void => {
      session.destroy();
      resolve(answer);
    };
    session.setTimeout(ATTEMPT_TIMEOUT_MS, () => finish(undefined));
    session.on('error', () => finish(undefined));
    session.on('close', () => finish(undefined));
    const headers = isGrpc ? { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' } : {};
    const request = session.request({ ...headers, ':path': path });
    let status = '';
    let grpcStatus: unknown;
    request.on('response', (response) => {
      status = `status ${response[':status']}`;
      grpcStatus = response['grpc-status'];
    });
    request.on('trailers', (trailers) => {
      grpcStatus = trailers['grpc-status'];
    });
    request.on('error', () => undefined);
    request.on('close', () => {
      if (status === '') finish(undefined);
      else finish(isGrpc && grpcStatus !== '0' ? `${status}, grpc-status ${grpcStatus}` : status);
    });
    request.resume();
    request.end(isGrpc ? grpcMessage(0) : undefined);
  });
}
