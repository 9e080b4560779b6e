import { DECIDING, TWIN, decidingLabels, relabelled } from '../../observed/pod-labels.ts'

/** Labels of a series, as Prometheus returns them. */
export type Labels = Readonly<Record<string, string>>

/** Target labels of Prometheus, which a proxy's page does not have. */
const OF_TARGET: ReadonlySet<string> = new Set(['instance', 'namespace', 'pod', 'job'])

/** Labels of a series as the proxy wrote them, and whether the pod could override any of them. */
export type OwnLabels = { readonly labels: Labels; readonly overridden: boolean }

/** Metric labels of a proxy that its pod's labels override. */
export type Override = {
  /** Overridden label names, as Prometheus writes them. */
  readonly taken: ReadonlySet<string>
  /** True: one of them is a label that decides. */
  readonly isDeciding: boolean
}

/**
 * Returns what a pod's labels, as the API server lists them, override.
 *
 * @param truth values that a pod's label may repeat without harm, from the API server; viz's own Prometheus is labelled with its namespace
 */
export function overrideOf(podLabels: Labels, truth: Labels): Override {
  return {
    taken: new Set(relabelled(podLabels).map(([name]) => name)),
    isDeciding: decidingLabels(podLabels, truth).length > 0,
  }
}

/**
 * Restores a proxy's own labels: if a pod label took a name, Prometheus moved the proxy's value to `exported_<name>` (and again if that name was taken, too).
 *
 * @param override of the scraped pod; undefined if the pod is unlisted
 */
export function ownLabels(series: Labels, override: Override | undefined): OwnLabels {
  let own: Record<string, string> | undefined
  for (const name in series) {
    if (!name.startsWith('exported_')) {
      if (override?.isDeciding !== true || !isUnwritten(name, series, override)) continue
      own ??= { ...series }
      own[name] = ''
      continue
    }
    const twinOf = TWIN.exec(name)?.[1]
    if (twinOf === undefined || !DECIDING.test(twinOf)) continue
    let proxys = twinOf
    // If the pod's labels are unknown, the longest `exported_` name is the proxy's own, as Prometheus only adds prefixes.
    while (override === undefined ? series[`exported_${proxys}`] !== undefined : override.taken.has(proxys))
      proxys = `exported_${proxys}`
    own ??= { ...series }
    own[twinOf] = series[proxys] ?? ''
  }
  return { labels: own ?? series, overridden: own !== undefined || override?.isDeciding === true }
}

/** Whether a deciding label is the pod's and has no `exported_` twin: the proxy wrote no such label. */
function isUnwritten(name: string, series: Labels, { taken }: Override): boolean {
  return taken.has(name) && DECIDING.test(name) && !OF_TARGET.has(name) && !(`exported_${name}` in series)
}

/** Returns a label's value. Prometheus drops empty labels, so absent means empty. */
export function labelOf(labels: Labels, name: string): string {
  return labels[name] ?? ''
}

/** Returns the port of a series: `target_port`, or else the end of `target_addr` (proxies before 2.12). Null if neither is a port. */
export function portOf(labels: Labels): number | null {
  const text = labelOf(labels, 'target_port') || (/:(\d+)$/.exec(labelOf(labels, 'target_addr'))?.[1] ?? '')
  const port = Number(text)
  return /^\d{1,5}$/.test(text) && port > 0 && port < 65_536 ? port : null
}

/** Returns the address of a series: `target_ip`, or else the start of `target_addr`. Empty if there is none. */
export function addressOf(labels: Labels): string {
  return labelOf(labels, 'target_ip') || hostOf(labelOf(labels, 'target_addr'))
}

/** Returns the address in `address:port` or `[address]:port`. */
export function hostOf(endpoint: string): string {
  const match = /^\[(.+)\]:\d+$/.exec(endpoint) ?? /^([^:]*)(?::\d+)?$/.exec(endpoint)
  return match?.[1] ?? endpoint
}

/** Returns a key that is equal for equal labels in any order, without the metric's name and the labels in `leftOut`. */
export function seriesKey(labels: Labels, leftOut: ReadonlySet<string> = NOTHING): string {
  let key = ''
  let previous = ''
  for (const name in labels) {
    // Prometheus writes labels in order, so sorting them is the exception.
    if (name < previous) return keyOf(Object.keys(labels).sort(), labels, leftOut)
    previous = name
    if (name !== '__name__' && !leftOut.has(name)) key += pair(name, labels[name] ?? '')
  }
  return key
}

const NOTHING: ReadonlySet<string> = new Set()

function keyOf(names: readonly string[], labels: Labels, leftOut: ReadonlySet<string>): string {
  return names.map((name) => (name === '__name__' || leftOut.has(name) ? '' : pair(name, labels[name] ?? ''))).join('')
}

/** Lengths make the key unambiguous for any name and value. */
function pair(name: string, value: string): string {
  return `${name.length}:${name}${value.length}:${value}`
}
