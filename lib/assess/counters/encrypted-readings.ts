import type { ReadingInput, CounterReading } from './reading.ts'
import type { Labels } from './labels.ts'
import { seriesKey, labelOf, portOf } from './labels.ts'
import { LEFT_OUT } from '../../observed/prometheus-queries.ts'
import type { QueryName } from '../../observed/prometheus-queries.ts'
import { stateOfLabels, lowered } from './classify.ts'
import { NO_SCRAPES } from './reading.ts'
import { lastUntil } from './counter-movement.ts'
import { tlsOf, labelTrustOf } from './readings.ts'

/**
 * Reads traffic with mesh TLS from Prometheus's reduced answers. A series that may be older than the window (its proxy was not scraped just before it, and
 * its process is not younger) is not counted as a connection of the window: absence only ever becomes `not-observed`.
 */
export function encryptedReadings(input: ReadingInput): CounterReading[] {
  const { answers, attribute } = input
  const subjects = new Map<string, { readonly series: Labels; opens: number; openAtScrape: number; bytes: number }>()
  const subjectOf = (labels: Labels) => {
    const key = seriesKey(labels, LEFT_OUT)
    const known = subjects.get(key) ?? { series: labels, opens: 0, openAtScrape: 0, bytes: 0 }
    subjects.set(key, known)
    return known
  }
  const each = (name: QueryName, use: (labels: Labels, value: number) => void) => {
    for (const { labels, samples } of answers(name)) use(labels, samples[0]?.value ?? 0)
  }
  const valuesOf = (name: QueryName) => {
    const values = new Map<string, number>()
    each(name, (labels, value) => values.set(seriesKey(labels), value))
    return values
  }
  each('encrypted-open', (labels, value) => {
    subjectOf(labels).openAtScrape += value
  })
  // After a restart the counter is lower and its previous count is lost, but at least one connection was opened since.
  each('encrypted-moved', (labels, value) => {
    subjectOf(labels).opens += value > 0 ? value : 1
  })
  const first = valuesOf('encrypted-new-first')
  const count = valuesOf('encrypted-new-count')
  each('encrypted-new-last', (labels, value) => {
    const key = seriesKey(labels)
    const isDated = isBornWithin(labelOf(labels, 'instance'), count.get(key) ?? 0, input)
    subjectOf(labels).opens += isDated ? value : Math.max(0, value - (first.get(key) ?? value))
  })
  // Bytes alone do not prove a connection: they may date from a time without scrapes before the window.
  for (const { labels, samples } of answers('encrypted-bytes')) {
    const subject = subjects.get(seriesKey(labels, LEFT_OUT))
    if (subject !== undefined) subject.bytes += Math.max(0, samples[0]?.value ?? 0)
  }

  return [...subjects.values()].flatMap(({ series, opens, openAtScrape, bytes }): CounterReading[] => {
    // These are read from raw samples, which have the proxy's own labels.
    if (RAW_TWINS.some((name) => name in series) || (opens <= 0 && openAtScrape === 0)) return []
    const at = attribute(series)
    const side = labelOf(series, 'direction') === 'outbound' ? 'outbound' : 'inbound'
    const labels = tlsOf(at.labels, side === 'outbound' ? 'server_id' : 'client_id')
    const { state, reason } = stateOfLabels(side, labels)
    return [
      {
        side,
        at,
        port: portOf(at.labels) ?? 0,
        verdict: {
          ...lowered(state, reason, labelTrustOf(at)),
          outcome: 'allowed',
          source: side === 'outbound' ? 'named' : 'unmeshed',
        },
        peerId: labels.peerId,
        opens,
        sinceUnknown: false,
        openAtScrape,
        bytes,
      },
    ]
  })
}

/** Labels by which queries find pods with overridden labels. */
const RAW_TWINS = ['exported_tls', 'exported_direction', 'exported_peer', 'exported_target_port']

/** Whether a series without a value at the window's start surely began in the window. */
function isBornWithin(instance: string, sampleCount: number, { start, end, scrapes }: ReadingInput): boolean {
  const { times, interval, processStarts } = scrapes.get(instance) ?? NO_SCRAPES
  const before = lastUntil(times, start)
  const within = times.filter((time) => time > start && time <= end)
  const [firstWithin] = within
  if (firstWithin === undefined || sampleCount === 0) return false
  if (processStarts.some((started) => started <= end && started > (before ?? start - 2 * interval))) return true
  // With continuous scrapes from before the window, some scrape did not have the series yet.
  const seen = before === undefined ? [] : [before, ...within]
  return seen.length > 0 && seen.slice(1).every((time, index) => time - (seen[index] ?? time) <= 2 * interval)
}

/** Reads connections to the proxies' own ports from Prometheus's reduced answers: listed, never scored. */
export function adminReadings({ answers, attribute }: ReadingInput): CounterReading[] {
  const subject = (labels: Labels) =>
    JSON.stringify([
      labelOf(labels, 'instance'),
      portOf(labels),
      labelOf(labels, 'tls'),
      labelOf(labels, 'no_tls_reason'),
    ])
  const served = new Set(
    answers('admin-requests')
      .filter(({ samples }) => samples[0]?.value !== 0)
      .map(({ labels }) => subject(labels)),
  )
  return answers('admin-opened').flatMap(({ labels: series, samples }): CounterReading[] => {
    if ('exported_tls' in series || 'exported_target_port' in series) return []
    const at = attribute(series)
    const value = samples[0]?.value ?? 0
    if (value === 0) return []
    const { state, reason } = stateOfLabels('inbound', tlsOf(at.labels, 'client_id'))
    const proved = state === 'no-mesh-tls' && served.has(subject(series)) ? 'plaintext' : state
    return [
      {
        side: 'inbound',
        at,
        port: portOf(at.labels) ?? 0,
        verdict: { ...lowered(proved, reason, labelTrustOf(at)), outcome: 'allowed', source: 'unmeshed' },
        peerId: '',
        opens: Math.max(1, value),
        sinceUnknown: false,
        openAtScrape: 0,
        bytes: 0,
      },
    ]
  })
}
