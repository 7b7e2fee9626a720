import { once } from 'node:events';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { LAUNCHER } from '../cli/run-cli.ts';
import { type Pod, TestNetwork, whyNoNamespaces } from '../support/netns.ts';

// Many processes, one after the other, on machines with much else to do.
vi.setConfig({ testTimeout: 60_000 });

beforeEach((context) => {
  const reason = whyNoNamespaces('iptables-nft', 'iptables-legacy', 'nft', 'python3');
  if (reason !== undefined) context.skip(reason);
});

/**
 * Accepts on a port for both families, and tells each client who it is, where the client wanted to go, and where it comes
 * from. The original destination: SO_ORIGINAL_DST (linux/netfilter_ipv4.h), for IPv6 IP6T_SO_ORIGINAL_DST.
 */
const SERVER = `
import socket, struct, sys, threading
name, port, transparent = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ['transparent']
def serve(family):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if transparent: s.setsockopt(*((socket.SOL_IP, 19, 1) if family == socket.AF_INET else (socket.IPPROTO_IPV6, 75, 1)))
    s.bind(('' if family == socket.AF_INET else '::', port)); s.listen()
    while True:
        c, peer = s.accept()
        wanted = c.getsockname()[:2]
        try:
            if family == socket.AF_INET:
                p, a = struct.unpack('!2xH4s8x', c.getsockopt(socket.SOL_IP, 80, 16))
            else:
                p, a = struct.unpack('!2xH4x16s4x', c.getsockopt(socket.IPPROTO_IPV6, 80, 28))
            wanted = (socket.inet_ntop(family, a), p)
        except OSError: pass
        c.sendall(f'{name} {wanted[0]} {wanted[1]} {peer[0]}'.encode()); c.close()
threading.Thread(target=serve, args=(socket.AF_INET6,), daemon=True).start()
print('listens', flush=True)
serve(socket.AF_INET)
`;

const ASK = `net.connect({ host: process.argv[1], port: +process.argv[2], localAddress: process.argv[3] })
  .on('error', (e) => console.log(e.code)).pipe(process.stdout)`;

async function serve(pod: Pod, name: string, port: number, ...more: string[]): Promise<void> {
  // As root: who accepts does not matter to the rules.
  const server = pod.spawn(['python3', '-c', SERVER, name, `${port}`, ...more]);
  await once(server.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
}

/** Who answers, where the client wanted to go, where it seems to come from. */
async function ask(pod: Pod, uid: number, host: string, port: number, source?: string): Promise<string> {
  const args = [process.execPath, '-e', ASK, host, `${port}`, ...(source === undefined ? [] : [source])];
  return (await pod.run(args, { uid })).stdout.trim();
}

describe.each(['iptables-nft', 'iptables-legacy', 'nft'])('by %s', (backend) => {
  test.each(['redirect', 'tproxy'])(
    '%s: real connections go where the rules say, with their addresses',
    async (mode) => {
      await using network = TestNetwork.create();
      const [shop, other] = [network.pod('shop'), network.pod('other')];
      const options = ['--backend', backend, '--mode', mode, '-d', '7070', '-o', '3306', '--exclude-uids', '2000'];
      expect(await shop.run([LAUNCHER, 'intercept', 'install', ...options])).toMatchObject({ code: 0, stderr: '' });
      await Promise.all([
        serve(shop, 'outbound', 15001),
        serve(shop, 'inbound', 15006, ...(mode === 'tproxy' ? ['transparent'] : [])),
        serve(shop, 'app', 8080),
        serve(shop, 'app', 7070),
        serve(other, 'app', 8081),
        serve(other, 'app', 3306),
      ]);
      for (const [mine, theirs, passthrough, loopback] of [
        [shop.ipv4, other.ipv4, '127.0.0.6', '127.0.0.1'],
        [shop.ipv6, other.ipv6, '::6', '::1'],
      ] as const) {
        // From outside.
        expect(await ask(other, 1000, mine, 8080)).toBe(`inbound ${mine} 8080 ${theirs}`);
        expect(await ask(other, 1000, mine, 9)).toBe(`inbound ${mine} 9 ${theirs}`);
        expect(await ask(other, 1000, mine, 7070)).toBe(`app ${mine} 7070 ${theirs}`);
        // Of the app.
        expect(await ask(shop, 1000, theirs, 8081)).toMatch(`outbound ${theirs} 8081 `);
        expect(await ask(shop, 1000, theirs, 3306)).toBe(`app ${theirs} 3306 ${mine}`);
        expect(await ask(shop, 2000, theirs, 8081)).toBe(`app ${theirs} 8081 ${mine}`);
        expect(await ask(shop, 1000, loopback, 8080)).toBe(`app ${loopback} 8080 ${loopback}`);
        expect(await ask(shop, 1000, mine, 8080)).toBe(`app ${mine} 8080 ${mine}`);
        // Of the proxy.
        expect(await ask(shop, 1337, theirs, 8081)).toBe(`app ${theirs} 8081 ${mine}`);
        expect(await ask(shop, 1337, mine, 8080)).toMatch(`inbound ${mine} 8080 `);
        expect(await ask(shop, 1337, mine, 8080, passthrough)).toBe(`app ${mine} 8080 ${passthrough}`);
        expect(await ask(shop, 1337, loopback, 8080)).toBe(`app ${loopback} 8080 ${loopback}`);
      }
      // And nothing is left of it.
      expect(await shop.run([LAUNCHER, 'intercept', 'remove'])).toMatchObject({ code: 0, stderr: '' });
      expect(await ask(other, 1000, shop.ipv4, 8080)).toBe(`app ${shop.ipv4} 8080 ${other.ipv4}`);
      expect(await ask(shop, 1000, other.ipv6, 8081)).toBe(`app ${other.ipv6} 8081 ${shop.ipv6}`);
    },
  );
});
