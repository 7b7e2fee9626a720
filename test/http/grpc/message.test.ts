import { expect, test } from 'vitest';
import { decodeGrpcMessage, encodeGrpcMessage } from '../../../src/http/grpc/message.ts';

test('printable ASCII goes as it is, the rest as percent escapes', () => {
  expect(encodeGrpcMessage('no such method: a.B/C')).toBe('no such method: a.B/C');
  expect(encodeGrpcMessage('100% \u00c3\u00bc~\n\0')).toBe('100%25 %C3%BC%7E%0A%00');
});

test('what a client decodes is what was said', () => {
  const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
  const decoded = encodeGrpcMessage(bytes).replace(/%([0-9A-F]{2})/g, (_, hex) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  expect(decoded).toBe(bytes);
});

test('a message is read as UTF-8, and what is not escaped well stays', () => {
  expect(decodeGrpcMessage('plain')).toBe('plain');
  expect(decodeGrpcMessage('50%25 f%c3%BCr %zz %')).toBe('50% für %zz %');
});
