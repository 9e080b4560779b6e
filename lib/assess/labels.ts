/** The labels of a series, as Prometheus gives them. */
export type Labels = Readonly<Record<string, string>>

/**
 * The labels that a decision uses. viz's Prometheus copies every pod label onto the series, where it wins over the proxy's own
 * label of that name (measured), so a pod that carries one of these may say anything.
 */
const DECIDING =
  /^(instance|namespace|pod|job|direction|peer|tls|no_tls_reason|server_id|client_id|sni|authority|target_(addr|ip|port)|dst_.+|srv_.+|authz_.+|route_.+)$/

/** Where Prometheus puts a proxy's own label whose name a target label has taken. */
const TWIN = /^(?:exported_)+(.+)$/

/** The labels of a series as the proxy wrote them, and whether any of them was open to a pod's own say. */
export type OwnLabels = { readonly labels: Labels; readonly overridden: boolean }

/**
 * Undoes what Prometheus did to the labels of a proxy's series: where a pod label took a name, the proxy's value moved to
 * `exported_<name>` (once more for each name that was taken, too).
 *
 * @param podLabels the labels that the API server gives for the scraped pod; undefined where the pod is in no list
 * @param truth what the API server says of names that a pod's label may repeat; viz's own Prometheus is labelled with its namespace
 */
export function ownLabels(series: Labels, podLabels: Labels | undefined, truth: Labels = {}): OwnLabels {
  const taken = new Set(Object.keys(podLabels ?? {}).map(sanitized))
  const lies = Object.entries(podLabels ?? {}).filter(([name, value]) => truth[name] !== value)
  let overridden = lies.some(([name]) => DECIDING.test(sanitized(name).replace(TWIN, '$1')))
  const labels: Record<string, string> = { ...series }
  for (const name of Object.keys(series)) {
    const twinOf = TWIN.exec(name)?.[1]
    if (twinOf === undefined || !DECIDING.test(twinOf)) continue
    overridden = true
    let own = twinOf
    // Without the pod's labels, the longest chain of twins is the proxy's own, as Prometheus only ever adds to it.
    while (podLabels === undefined ? series[`exported_${own}`] !== undefined : taken.has(own)) own = `exported_${own}`
    labels[twinOf] = series[own] ?? ''
  }
  return { labels, overridden }
}

/** A Kubernetes label name as Prometheus writes it. */
function sanitized(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, '_')
}

/** A label's value; Prometheus drops empty labels, so absent is empty. */
export function labelOf(labels: Labels, name: string): string {
  return labels[name] ?? ''
}

/** The port that a series is for: `target_port`, else the end of `target_addr` (proxies before 2.12). Null where neither is one. */
export function portOf(labels: Labels): number | null {
  const text = labelOf(labels, 'target_port') || (/:(\d+)$/.exec(labelOf(labels, 'target_addr'))?.[1] ?? '')
  const port = Number(text)
  return /^\d{1,5}$/.test(text) && port > 0 && port < 65_536 ? port : null
}

/** The address that a series is for: `target_ip`, else the begin of `target_addr`. Empty where there is none. */
export function addressOf(labels: Labels): string {
  return labelOf(labels, 'target_ip') || hostOf(labelOf(labels, 'target_addr'))
}

/** The address in `address:port` or `[address]:port`. */
export function hostOf(endpoint: string): string {
  const match = /^\[(.+)\]:\d+$/.exec(endpoint) ?? /^([^:]*)(?::\d+)?$/.exec(endpoint)
  return match?.[1] ?? endpoint
}

/** A text that is equal for equal labels, whatever their order, without the metric's name. */
export function seriesKey(labels: Labels): string {
  return JSON.stringify(
    Object.keys(labels)
      .filter((name) => name !== '__name__')
      .sort()
      .map((name) => [name, labels[name]]),
  )
}
