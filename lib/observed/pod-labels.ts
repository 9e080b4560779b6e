/**
 * The labels that a decision uses. viz's Prometheus copies every pod label onto the series, where it wins over the proxy's own
 * label of that name (measured), so a pod that carries one of these may say anything.
 */
export const DECIDING =
  /^(instance|namespace|pod|job|direction|peer|tls|no_tls_reason|server_id|client_id|sni|authority|target_(addr|ip|port)|dst_.+|srv_.+|authz_.+|route_.+)$/

/** Where Prometheus puts a proxy's own label whose name a target label has taken. */
export const TWIN = /^(?:exported_)+(.+)$/

type Labels = Readonly<Record<string, string>>

/** The labels of a pod that take a name that the decision uses, as Prometheus writes them; `truth` is what the API server says of names that a label may repeat. */
export function decidingLabels(podLabels: Labels, truth: Labels): string[] {
  return relabelled(podLabels)
    .filter(([name, value]) => truth[name] !== value && DECIDING.test(name.replace(TWIN, '$1')))
    .map(([name]) => name)
}

/**
 * A pod's labels as viz's Prometheus names them: `linkerd.io/<name>` and `linkerd.io/proxy-<name>` lose their prefix, so that they take names
 * as a bare label does; only the injector's `linkerd.io/proxy-job` becomes `k8s_job` (linkerd2, viz's scrape configuration).
 */
export function relabelled(podLabels: Labels): [name: string, value: string][] {
  return Object.entries(podLabels).map(([name, value]) => {
    const meta = name.replace(/[^a-zA-Z0-9_]/g, '_')
    return [meta === 'linkerd_io_proxy_job' ? 'k8s_job' : meta.replace(/^linkerd_io_(proxy_)?/, ''), value]
  })
}
