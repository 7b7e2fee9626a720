import { describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../src/intercept/options.ts';
import { readOptions, type Sources } from '../../src/intercept/read-options.ts';

function read(sources: Partial<Omit<Sources, 'annotations'>> & { annotations?: Record<string, string> }) {
  const { annotations = {}, flags = {}, env = {} } = sources;
  return readOptions({ flags, env, annotations: new Map(Object.entries(annotations)) });
}

test('nothing given is Istio’s defaults', () => {
  expect(read({})).toEqual({ options: DEFAULT_OPTIONS, problems: [] });
});

describe('where an option comes from', () => {
  const annotations = {
    'traffic.sidecar.istio.io/excludeOutboundPorts': '1',
    'outrigger.dev/excludeOutboundPorts': '2',
  };
  const ports = (sources: Parameters<typeof read>[0]): readonly number[] => read(sources).options.excludedOutboundPorts;

  test('ours goes before Istio’s, the environment before annotations, the command line before all', () => {
    const { 'outrigger.dev/excludeOutboundPorts': _, ...istio } = annotations;
    expect(ports({ annotations: istio })).toEqual([1]);
    expect(ports({ annotations })).toEqual([2]);
    const env = { ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE: '3' };
    expect(ports({ annotations, env })).toEqual([3]);
    const both = { ...env, OUTRIGGER_EXCLUDE_OUTBOUND_PORTS: '4' };
    expect(ports({ annotations, env: both })).toEqual([4]);
    expect(ports({ annotations, env: both, flags: { excludedOutboundPorts: '5' } })).toEqual([5]);
  });

  test('an empty list is a list, an empty variable of one value is none', () => {
    const { options, problems } = read({ env: { ISTIO_SERVICE_CIDR: '', ENVOY_PORT: '' } });
    expect(problems).toEqual([]);
    expect(options).toMatchObject({ outboundRanges: [], outboundPort: 15001 });
  });

  test('the mode is of the sidecar’s annotations', () => {
    expect(read({ annotations: { 'sidecar.istio.io/interceptionMode': 'TPROXY' } }).options.mode).toBe('tproxy');
  });
});

describe('values', () => {
  test('lists lose doubles and spaces, * is all, none is an empty list', () => {
    const flags = {
      inboundPorts: ' 80, 443,80 ',
      outboundRanges: 'none',
      excludedOutboundRanges: '10.9.8.7/8,fd00::/8',
    };
    const { options, problems } = read({ flags });
    expect(problems).toEqual([]);
    expect(options.inboundPorts).toEqual([80, 443]);
    expect(options.outboundRanges).toEqual([]);
    expect(options.excludedOutboundRanges.map(({ text }) => text)).toEqual(['10.0.0.0/8', 'fd00::/8']);
    expect(read({ flags: { inboundPorts: '*' } }).options.inboundPorts).toBe('*');
  });

  test('the proxy’s group is its user’s number unless given', () => {
    expect(read({ flags: { proxyUids: '2000' } }).options.proxyGids).toEqual([2000]);
    expect(read({ flags: { proxyUids: '2000', proxyGids: '3000,3001' } }).options.proxyGids).toEqual([3000, 3001]);
  });
});

test('all that is wrong is told at once, each with where it stands and what is right', () => {
  const { problems } = read({
    flags: {
      mode: 'transparent',
      outboundPort: '70000',
      excludedOutboundPorts: '80,8000-9000',
      outboundRanges: '10.0.0.0/40,*',
      excludedInterfaces: 'eth0;reboot',
      proxyUids: 'envoy',
      tproxyTable: '255',
    },
    env: { ISTIO_SERVICE_EXCLUDE_CIDR: '10.0.0.0/40' },
    annotations: { 'traffic.sidecar.istio.io/includeInboundPorts': '80,http' },
  });
  expect([...problems].sort()).toEqual([
    "--exclude-interfaces: 'eth0;reboot' is not the name of an interface, such as eth0, or net+ for all that begin so",
    "--exclude-outbound-ports: '8000-9000' is a range of ports; list them one by one",
    "--mode: 'transparent' is not a mode: redirect or tproxy",
    "--outbound-port: '70000' is not a port: a number from 1 to 65535",
    "--outbound-ranges: '*' stands for all, and alone: '10.0.0.0/40,*'",
    "--proxy-uid: 'envoy' is not the number of a user or group: 0 to 4294967294",
    "--tproxy-table: '255' is not a routing table of one's own: a number from 1 to 4294967295 but 253 to 255",
    "ISTIO_SERVICE_EXCLUDE_CIDR: '10.0.0.0/40': the prefix of IPv4 has 0 to 32 bits, as in 10.0.0.0/32",
    "traffic.sidecar.istio.io/includeInboundPorts: 'http' is not a port: a number from 1 to 65535",
  ]);
});

test.each([
  [{ outboundPort: '15006' }, /must differ/],
  [{ proxyUids: '' }, /would be intercepted, and never leave/],
  [{ mode: 'tproxy', tproxyMark: '1338' }, /outbound side/],
  [{ excludedOutboundRanges: '0.0.0.0/0' }, /--outbound-ranges none/],
])('what cannot be meant together is refused: %j', (flags, problem) => {
  expect(read({ flags }).problems).toEqual([expect.stringMatching(problem)]);
});
