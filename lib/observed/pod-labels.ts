/**
 * Labels that decide. viz's Prometheus copies every pod label onto the series, where it overrides the proxy's own label of that name (measured), so a pod
 * with one of these labels can forge it.
 */
export const DECIDING =
  /^(instance|namespace|pod|job|direction|peer|tls|no_tls_reason|server_id|client_id|sni|authority|target_(addr|ip|port)|dst_.+|srv_.+|authz_.+|route_.+)$/

/** Name of a proxy's own label after a target label overrode it. */
export const TWIN = /^(?:exported_)+(.+)$/

type Labels = Readonly<Record<string, string>>

/** Returns the labels of a pod that override a deciding label, as Prometheus writes them. `truth` has the API server's values, which a label may repeat. */
export function decidingLabels(podLabels: Labels, truth: Labels): string[] {
  return relabelled(podLabels)
    .filter(([name, value]) => truth[name] !== value && DECIDING.test(name.replace(TWIN, '$1')))
    .map(([name]) => name)
}

/**
 * Returns a pod's labels as viz's Prometheus names them. `linkerd.io/<name>` and `linkerd.io/proxy-<name>` lose their prefix, so they override names as a
 * bare label does; only the injector's `linkerd.io/proxy-job` becomes `k8s_job` (linkerd2, viz's scrape configuration).
 */
export function relabelled(podLabels: Labels): [name: string, value: string][] {
  return Object.entries(podLabels).map(([name, value]) => {
    const meta = name.replace(/[^a-zA-Z0-9_]/g, '_')
    return [meta === 'linkerd_io_proxy_job' ? 'k8s_job' : meta.replace(/^linkerd_io_(proxy_)?/, ''), value]
  })
}
