/** Keys that only Envoy's bootstrap has at its root. */
const BOOTSTRAP_KEYS = ['static_resources', 'staticResources', 'dynamic_resources', 'dynamicResources'];
const SIDECAR_KEYS = ['app', 'intercept', 'listen', 'listeners', 'filters', 'routes', 'upstreams', 'protocol'];

/** True for a sidecar file, by its keys. */
export function isSidecarFile(data: object): boolean {
  return !BOOTSTRAP_KEYS.some((key) => key in data) && SIDECAR_KEYS.some((key) => key in data);
}
