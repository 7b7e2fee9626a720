import { styleText } from 'node:util';

export interface DemoPlaces {
  readonly port: number;
  readonly appPort: number;
  readonly adminPort: number;
  /** The configuration file. */
  readonly file: string;
}

/** What the demo prints once it serves: four requests, each of which shows something else. */
export function demoGuide({ port, appPort, adminPort, file }: DemoPlaces): string {
  const url = `http://127.0.0.1:${port}`;
  const bold = (text: string): string => styleText('bold', text, { stream: process.stdout });
  const dim = (text: string): string => styleText('dim', text, { stream: process.stdout });
  return `
${bold('Outrigger')} is a sidecar on ${url}, in front of a demo app on port ${appPort}.
Try these in a second terminal; every request is logged here.

${dim('# allowed; the filter in greeting.ts greets in a response header')}
curl -i -H 'x-name: Ada' ${url}/hello

${dim('# denied: 403 by RBAC, and the line that appears here names the rule: no-secrets')}
curl -i ${url}/secret

${dim('# limited: five requests pass in 5 s, the others are answered 429')}
curl -s -o /dev/null -w '%{http_code}\\n' '${url}/hello?[1-8]'

${dim('# tagged: the app sees x-envoy-ip-tags: office, after the address that the client comes from')}
curl -H 'x-forwarded-for: 192.0.2.7' -H 'x-tenant: acme' ${url}/hello

Admin page      http://127.0.0.1:${adminPort}/
Configuration   ${file}
Ctrl-C ends it.

`;
}
