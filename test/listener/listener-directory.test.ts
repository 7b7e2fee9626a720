import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { ListenerDirectory } from '../../src/listener/listener-directory.ts';
import type { ListenerSocket } from '../../src/listener/listener-socket.ts';

interface Facts {
  readonly isBound?: boolean;
  readonly restoresDestinations?: boolean;
  readonly takesIpv4?: boolean;
}

function listener(host: string, port: number, facts: Facts = {}): ListenerSocket {
  const bound = () => ({ address: host, port });
  const rest = { isBound: true, restoresDestinations: false, takesIpv4: false, ...facts };
  return { address: { host, port }, bound, ...rest } as unknown as ListenerSocket;
}

function directory(...sockets: ListenerSocket[]): ListenerDirectory {
  const made = new ListenerDirectory();
  made.replace(sockets);
  return made;
}

test('a listener is found by its address, else by its port at any address of the family', () => {
  const exact = listener('10.0.0.1', 80);
  const any = listener('0.0.0.0', 80);
  const six = listener('0:0::0', 443, { takesIpv4: true });
  const found = directory(exact, any, six);
  expect(found.find('10.0.0.1', 80)).toBe(exact);
  expect(found.find('10.0.0.2', 80)).toBe(any);
  expect(found.find('10.0.0.1', 81)).toBeUndefined();
  expect(found.find('fd00::1', 80)).toBeUndefined();
  expect(found.find('fd00::1', 443)).toBe(six);
  expect(found.find('10.0.0.1', 443)).toBe(six);
});

test('what would come back to a listener that asks for original destinations leads back', () => {
  const found = directory(
    listener('::', 15001, { restoresDestinations: true, takesIpv4: true }),
    listener('0.0.0.0', 8080),
    listener('0.0.0.0', 9090, { restoresDestinations: true, isBound: false }),
  );
  const own = Object.values(networkInterfaces()).flatMap((ends) => ends ?? []);
  for (const address of ['127.0.0.1', '127.0.0.6', '0.0.0.0', ...own.map((end) => end.address)])
    expect(found.leadsBack(address, 15001, '192.0.2.1')).toBe(true);
  // The accepting socket's own address is ours, whatever the interfaces say.
  expect(found.leadsBack('192.0.2.1', 15001, '192.0.2.1')).toBe(true);
  // The same port of another pod is not ours, nor is a listener that serves by itself.
  expect(found.leadsBack('198.51.100.77', 15001, '192.0.2.1')).toBe(false);
  expect(found.leadsBack('127.0.0.1', 8080, '127.0.0.1')).toBe(false);
  expect(found.leadsBack('127.0.0.1', 9090, '127.0.0.1')).toBe(false);
});
