import { describe, expect, it } from 'vitest';
import { FILTER_PAGES } from '../../filters/pages.ts';
import { expandText } from '../../src/config/expand.ts';
import { tempFolder, writeIn } from '../filter/temp-folder.ts';
import { envoyRejection, findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { TestPki } from '../support/tls.ts';

const envoy = findEnvoy();

describe('Envoy takes the example of each page', () => {
  it.for(FILTER_PAGES)('$slug', ({ slug, example }, context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    const { ca, server, client } = new TestPki();
    const folder = tempFolder();
    writeIn(folder, 'ca.pem', ca.cert);
    for (const [name, { cert, key }] of Object.entries({ server, client })) {
      writeIn(folder, `${name}.pem`, cert);
      writeIn(folder, `${name}.key`, key);
    }
    const text = expandText(`${slug}.yaml`, example).replaceAll('/etc/certs/', `${folder}/`);
    expect(envoyRejection(envoy, text)).toBeUndefined();
  });
});
