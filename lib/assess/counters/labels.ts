import { DECIDING, TWIN, decidingLabels, relabelled } from '../../observed/pod-labels.ts'

/** The labels of a series, as Prometheus gives them. */
export type Labels = Readonly<Record<string, string>>

/** Labels that Prometheus gives to a target: a proxy's page has none of these. */
const OF_TARGET: ReadonlySet<string> = new Set(['instance', 'namespace', 'pod', 'job'])

/** The labels of a series as the proxy wrote them, and whether any of them was open to a pod's own say. */
export type OwnLabels = { readonly labels: Labels; readonly overridden: boolean }

/** What a pod's labels may say over its proxy. */
export type Override = {
  /** The names that target labels have taken, as Prometheus writes them. */
  readonly taken: ReadonlySet<string>
  /** One of them is a label that the decision uses. */
  readonly isDeciding: boolean
}

/**
 * What the labels that the API server gives for a pod may say over its proxy.
 *
 * @param truth what the API server says of names that a pod's label may repeat; viz's own Prometheus is labelled with its namespace
 */
export function overrideOf(podLabels: Labels, truth: Labels): Override {
  return {
    taken: new Set(relabelled(podLabels).map(([name]) => name)),
    isDeciding: decidingLabels(podLabels, truth).length > 0,
  }
}

/**
 * Undoes what Prometheus did to the labels of a proxy's series: where a pod label took a name, the proxy's value moved to
 * `exported_<name>` (once more for each name that was taken, too).
 *
 * @param override of the scraped pod; undefined where the pod is in no list
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
    // Without the pod's labels, the longest chain of twins is the proxy's own, as Prometheus only ever adds to it.
    while (override === undefined ? series[`exported_${proxys}`] !== undefined : override.taken.has(proxys))
      proxys = `exported_${proxys}`
    own ??= { ...series }
    own[twinOf] = series[proxys] ?? ''
  }
  return { labels: own ?? series, overridden: own !== undefined || override?.isDeciding === true }
}

/** A deciding label of the pod without a twin: the proxy wrote none of that name. */
function isUnwritten(name: string, series: Labels, { taken }: Override): boolean {
  return taken.has(name) && DECIDING.test(name) && !OF_TARGET.has(name) && !(`exported_${name}` in series)
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

/** A text that is equal for equal labels, whatever their order, without the metric's name and those that `leftOut` holds. */
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

/** Lengths keep apart what a name or value may hold, whatever it holds. */
function pair(name: string, value: string): string {
  return `${name.length}:${name}${value.length}:${value}`
}
