/** Service and method of a call. */
export interface MethodName {
  /** With its package: `helloworld.Greeter`. */
  readonly service: string;
  readonly method: string;
}

const PATH = /^\/+([^/?]+)\/+([^/?]+)\/*(?:\?.*)?$/;

/** From the path `/service/method` (gRPC over HTTP/2, "Path"); undefined when it is none. */
export function methodNameOf(path: string): MethodName | undefined {
  const match = PATH.exec(path);
  return match === null ? undefined : { service: match[1] as string, method: match[2] as string };
}
