import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { SecretVolume, tlsFiles } from '../support/secret-volume.ts';
import { inChain, TestPki, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();
const admin = { host: '127.0.0.1', port: 0 };
const SECRET = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

function ask(proxy: TestProxy, path: string): Promise<string> {
  const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
  return new Promise((resolve, reject) => {
    request({ host, port, path, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}

/** A listener with a certificate from files, a cluster with a secret. */
function config(volume: SecretVolume): string {
  const at = (name: string): object => ({ filename: volume.file(name) });
  const secret = {
    '@type': SECRET,
    name: 'client_cert',
    tls_certificate: {
      certificate_chain: { inline_string: pki.client.cert },
      private_key: { inline_string: pki.client.key },
    },
  };
  writeFileSync(volume.file('sds.json'), JSON.stringify({ resources: [secret] }));
  const upstream = transportSocket('UpstreamTlsContext', {
    common_tls_context: {
      tls_certificate_sds_secret_configs: [
        { name: 'client_cert', sds_config: { path_config_source: { path: volume.file('sds.json') } } },
      ],
    },
  });
  const downstream = transportSocket('DownstreamTlsContext', {
    common_tls_context: {
      tls_certificates: [{ certificate_chain: at('tls.crt'), private_key: at('tls.key') }],
      validation_context: trust(pki.ca),
    },
  });
  return inChain(httpConfig(1, { cluster: upstream }), downstream);
}

const seconds = (date: Date): string => `${date.toISOString().substring(0, 19)}Z`;

test.each([1, 2])(
  '/certs lists what each context shows and believes, in Envoy’s form, with %i threads',
  async (concurrency) => {
    using volume = new SecretVolume(tlsFiles(pki.server));
    await using proxy = await startTestProxy(config(volume), { adminAddress: admin, concurrency });
    const server = new X509Certificate(pki.server.cert);
    const { certificates } = JSON.parse(await ask(proxy, '/certs'));
    expect(certificates).toHaveLength(2);
    const listener = certificates.find((one: { ca_cert: unknown[] }) => one.ca_cert.length > 0);
    expect(listener.cert_chain).toEqual([
      {
        path: volume.file('tls.crt'),
        serial_number: server.serialNumber.toLowerCase(),
        subject_alt_names: [{ dns: 'server.test' }, { uri: 'spiffe://test/server' }, { ip_address: '127.0.0.1' }],
        days_until_expiration: '29',
        valid_from: seconds(server.validFromDate),
        expiration_time: seconds(server.validToDate),
      },
    ]);
    expect(listener.ca_cert).toMatchObject([
      { path: '<inline>', serial_number: new X509Certificate(pki.ca.cert).serialNumber.toLowerCase() },
    ]);
  },
);

test.each([1, 2])(
  'expiry is in the statistics, for Prometheus with Envoy’s tags, with %i threads',
  async (concurrency) => {
    using volume = new SecretVolume(tlsFiles(pki.server));
    await using proxy = await startTestProxy(config(volume), { adminAddress: admin, concurrency });
    const until = Math.floor(new X509Certificate(pki.client.cert).validToDate.getTime() / 1000);
    const text = await ask(proxy, '/stats');
    expect(text).toContain('server.days_until_first_cert_expiring: 29\n');
    expect(text).toContain(`cluster.app.ssl.certificate.client_cert.expiration_unix_time_seconds: ${until}\n`);
    expect(text).toMatch(
      /^listener\.127\.0\.0\.1_0\.ssl\.certificate\.unnamed_cert_[0-9a-f]{8}\.expiration_unix_time_seconds: \d+$/m,
    );
    expect(text).toMatch(
      /^listener\.127\.0\.0\.1_0\.ssl\.certificate\.unnamed_ca_cert_[0-9a-f]{8}\.expiration_unix_time_seconds: \d+$/m,
    );
    expect(text).toContain('sds.client_cert.update_success: 1\n');
    const metrics = await ask(proxy, '/stats/prometheus');
    expect(metrics).toContain('envoy_server_days_until_first_cert_expiring{} 29\n');
    expect(metrics).toContain(
      `envoy_cluster_ssl_certificate_expiration_unix_time_seconds{envoy_tls_certificate="client_cert",envoy_cluster_name="app"} ${until}\n`,
    );
    expect(metrics).toContain('envoy_sds_update_success{envoy_xds_resource_name="client_cert"} 1\n');
  },
);
