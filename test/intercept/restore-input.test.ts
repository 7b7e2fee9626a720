import { describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../src/intercept/options.ts';
import { removalInput, restoreInput } from '../../src/intercept/restore-input.ts';
import { buildTables } from '../../src/intercept/rule-set.ts';
import { hasOurs, parseSaved } from '../../src/intercept/saved-rules.ts';

const fresh = (family: 4 | 6): string => restoreInput(buildTables(DEFAULT_OPTIONS, family), []);

test('the rules of an empty namespace are Istio’s, in its order', () => {
  expect(fresh(4)).toBe(`*nat
:ISTIO_INBOUND - [0:0]
:ISTIO_REDIRECT - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_OUTPUT - [0:0]
-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN
-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-A ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN
-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT -p tcp -j ISTIO_OUTPUT
COMMIT
`);
});

test('IPv6 has the same rules, with its own loopback and passthrough addresses', () => {
  const translated = fresh(4).replaceAll('127.0.0.1/32', '::1/128').replaceAll('127.0.0.6/32', '::6/128');
  expect(fresh(6)).toBe(translated);
});

/** As iptables-save -c prints a table. */
function saved(rules: string, chains = ['ISTIO_INBOUND', 'ISTIO_OUTPUT']) {
  const declared = ['PREROUTING ACCEPT', 'OUTPUT ACCEPT', ...chains.map((chain) => `${chain} -`)];
  const lines = rules.split('\n').map((rule) => `[3:180] -A ${rule}`);
  return parseSaved(
    `# x\n*nat\n${declared.map((one) => `:${one} [0:0]`).join('\n')}\n${lines.join('\n')}\nCOMMIT\n# y\n`,
  );
}

describe('over what is there', () => {
  const input = (rules: string, chains?: string[]): string[] =>
    restoreInput(buildTables(DEFAULT_OPTIONS, 4), saved(rules, chains)).split('\n');
  const IN = 'PREROUTING -p tcp -j ISTIO_INBOUND';
  const OUT = 'OUTPUT -p tcp -j ISTIO_OUTPUT';

  test('jumps that are there stay where they are', () => {
    const lines = input(`${IN}\n${OUT}`);
    expect(lines.filter((line) => /^-[AD] (?:PREROUTING|OUTPUT)/.test(line))).toEqual([]);
  });

  test('of doubled jumps one stays, a missing one is made, one that has changed is replaced', () => {
    const lines = input(`${IN}\n${IN}\n${IN}\nOUTPUT -j ISTIO_OUTPUT`);
    expect(lines.filter((line) => /^-[AD] (?:PREROUTING|OUTPUT)/.test(line))).toEqual([
      `-D ${IN}`,
      `-D ${IN}`,
      '-D OUTPUT -j ISTIO_OUTPUT',
      `-A ${OUT}`,
    ]);
  });

  test('chains of another mode are emptied and deleted, and others’ are not named', () => {
    const lines = input(`KUBE_X -j DROP\n${IN}`, ['ISTIO_TPROXY', 'KUBE_X']);
    expect(lines).toContain(':ISTIO_TPROXY - [0:0]');
    expect(lines.indexOf('-X ISTIO_TPROXY')).toBe(lines.indexOf('COMMIT') - 1);
    expect(lines.join('\n')).not.toContain('KUBE_X');
  });

  test('a table that is not needed any more is emptied of ours', () => {
    const mangle = parseSaved(
      '*mangle\n:OUTPUT ACCEPT [0:0]\n:ISTIO_OUTPUT - [0:0]\n-A OUTPUT -p tcp -j ISTIO_OUTPUT\nCOMMIT\n',
    );
    expect(restoreInput(buildTables(DEFAULT_OPTIONS, 4), mangle)).toContain(
      '*mangle\n:ISTIO_OUTPUT - [0:0]\n-D OUTPUT -p tcp -j ISTIO_OUTPUT\n-X ISTIO_OUTPUT\nCOMMIT\n',
    );
  });
});

test('removing takes our chains and what leads to them, and nothing that only speaks of them', () => {
  const tables = saved(
    'PREROUTING -p tcp -j ISTIO_INBOUND\nOUTPUT -m comment --comment "not -j ISTIO_OUTPUT" -j ACCEPT\nOUTPUT -g ISTIO_OUTPUT',
  );
  expect(removalInput(tables)).toBe(`*nat
:ISTIO_INBOUND - [0:0]
:ISTIO_OUTPUT - [0:0]
-D PREROUTING -p tcp -j ISTIO_INBOUND
-D OUTPUT -g ISTIO_OUTPUT
-X ISTIO_INBOUND
-X ISTIO_OUTPUT
COMMIT
`);
  const others = saved('OUTPUT -j ACCEPT', []);
  expect([hasOurs(others), removalInput(others)]).toEqual([false, '']);
});
