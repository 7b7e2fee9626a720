/** What app and client in the pods have agreed on. */
export const PORTS = { http: 8080, grpc: 50051, tcp: 9000, serverFirst: 9025, excluded: 9999 } as const;

const text = {
  serialize: (value: string) => Buffer.from(value),
  deserialize: (bytes: Buffer) => bytes.toString(),
};

export const ECHO_SERVICE = {
  echo: {
    path: '/test.Echo/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: text.serialize,
    requestDeserialize: text.deserialize,
    responseSerialize: text.serialize,
    responseDeserialize: text.deserialize,
  },
} as const;
