import type { Attribution } from '../ends/attribution.ts'
import type { ReadingInput, RawSeries } from '../counters/reading.ts'
import type { ProbedPod, Allowance } from './expected-probes.ts'
import { NO_SCRAPES } from '../counters/reading.ts'
import type { Moved, ProxyScrapes } from '../counters/counter-movement.ts'
import type { Probe } from './declared-probes.ts'
import type { ByProbes, Inbound } from '../counters/classify.ts'
import { lastUntil } from '../counters/counter-movement.ts'
import type { Seconds } from '../../model/time.ts'
import { probesWithin, fewestProbes, regularProbes } from './expected-probes.ts'

/** A terminating pod is probed less, for as long as its containers may take to stop. */
const ENDING_SECONDS = 90

/** Returns the pod of a series or, if it is unlisted, its possible variants; empty if its probes are unknown. */
export function probedPods(at: Attribution, { scrapes, unlistedProbes }: ReadingInput): readonly ProbedPod[] {
  if (at.pod !== null) return [at.pod]
  const { processStarts, times } = scrapes.get(at.instance) ?? NO_SCRAPES
  const from = Math.min(...processStarts, ...times)
  return (unlistedProbes?.(at) ?? []).map((probes): ProbedPod => {
    const containers = [...new Set(probes.map(({ container }) => container))].map((name) => ({
      name,
      isReady: true,
      isStarted: null,
      startedAt: from,
      restarts: 0,
    }))
    return { probes, life: { from }, looks: [{ takenAt: Infinity, isReady: true, since: null, containers }] }
  })
}

/**
 * Compares a counter with what the kubelet can have sent since the last scrape before the window, and undated values with the pod's life until then. If the
 * count is within the schedule's limit but above its regular number, the look-back is compared, too: one extra request per window adds up. Requests that only
 * their rate identifies as probes must also be enough: less than half of the kubelet's number is not the kubelet.
 */
export function comparedWithProbes(
  { count, undated, undatedAt, recent, lastAt }: Moved,
  pods: readonly ProbedPod[],
  of: (probe: Probe) => boolean,
  {
    at,
    input: { start, end, scrapes },
    isOnlyByRate,
  }: { readonly at: Attribution; readonly input: ReadingInput; readonly isOnlyByRate: boolean },
): ByProbes {
  const { times, interval, processStarts } = scrapes.get(at.instance) ?? NO_SCRAPES
  // Samples may be later than those of `up`.
  const to = Math.min(lastUntil(times, end) ?? end, lastAt ?? Infinity)
  const allowed = (from: Seconds | null, until = to): Allowance => {
    const all = pods.map((pod) =>
      probesWithin(pod, { from: Math.max(from ?? pod.life.from, pod.life.from), to: until }, of),
    )
    return { usual: Math.min(...all.map(({ usual }) => usual)), most: Math.max(...all.map(({ most }) => most)) }
  }
  // The first page of a young process counts everything since its start, even before the window.
  const begun = processStarts.findLast((started) => started <= (times[0] ?? end))
  const from = Math.max(lastUntil(times, start) ?? begun ?? start, undatedAt ?? -Infinity)
  if (pods.every(({ probes }) => !probes.some(of))) return 'none'
  const { usual, most } = allowed(from)
  if (count > most) return 'more'
  const isEnding = to < end - 2 * interval || at.pod?.isGone === true || typeof at.pod?.life.to === 'number'
  const until = isEnding ? to - ENDING_SECONDS : to
  const fewest = isOnlyByRate
    ? Math.min(
        ...pods.map((pod) =>
          countedSpans({ from: Math.max(from, pod.life.from), to: until }, scrapes.get(at.instance) ?? NO_SCRAPES)
            .map((span) => fewestProbes(pod, span, of))
            .reduce((sum, count) => sum + count, 0),
        ),
      )
    : 0
  if (count > 0 && count < fewest) return count < fewest / 2 ? 'more' : 'perhaps'
  if (count > usual || undated > allowed(null, undatedAt ?? to).most) return 'perhaps'
  const isRegular = pods.some((pod) => count <= regularProbes(pod, { from: Math.max(from, pod.life.from), to }, of))
  return isRegular || recent + count <= allowed(times[0] ?? from).usual ? 'within' : 'perhaps'
}

/** Returns the parts of a span that a proxy's counters cover: counts after a process's last scrape are lost. */
function countedSpans(
  { from, to }: { readonly from: Seconds; readonly to: Seconds },
  { times, processStarts }: ProxyScrapes,
): { from: Seconds; to: Seconds }[] {
  const starts = processStarts.filter((start) => start > from && start <= to)
  return [from, ...starts].map((begun, index) => {
    const next = starts[index]
    return { from: begun, to: next === undefined ? to : Math.max(begun, lastUntil(times, next) ?? begun) }
  })
}

/** Whether a connection was open at two samples of a gauge in a row, the later one in `(start, end]`. */
export function heldOpen(group: readonly RawSeries[], { start, end }: ReadingInput): Inbound['heldOpen'] {
  const pairs = group.flatMap(({ name, key, samples }) => {
    if (name !== 'tcp_open_connections') return []
    const opened = group.find((other) => other.name === 'tcp_open_total' && other.key === key)?.samples ?? []
    const totals = new Map(opened.map(({ time, value }) => [time, value]))
    return samples.flatMap(({ time, value }, index) => {
      const previous = samples[index - 1]
      if (time <= start || time > end || value === 0 || (previous?.value ?? 0) === 0) return []
      const [now, then] = [totals.get(time), totals.get(previous?.time ?? time)]
      // If fewer were opened in between than are open now, one of them was open before.
      return now === undefined || then === undefined || (now >= then && now - then < value) ? ['surely'] : ['perhaps']
    })
  })
  return pairs.includes('surely') ? 'surely' : pairs.length > 0 ? 'perhaps' : 'no'
}

/** Whether equal numbers of connections always had equal bytes between samples; a stream beside probes would break the pattern. */
export function hasRegularBytes(group: readonly RawSeries[]): boolean {
  return group
    .filter(({ name }) => name === 'tcp_open_total')
    .every(({ key, samples }) => {
      const bytes = ['tcp_read_bytes_total', 'tcp_write_bytes_total'].map(
        (name) =>
          new Map(
            group.find((one) => one.name === name && one.key === key)?.samples.map(({ time, value }) => [time, value]),
          ),
      )
      const byOpened = new Map<number, string>()
      return samples.slice(1).every(({ time, value }, index) => {
        const previous = samples[index]
        const opened = value - (previous?.value ?? 0)
        const moved = JSON.stringify(bytes.map((of) => (of.get(time) ?? 0) - (of.get(previous?.time ?? time) ?? 0)))
        const known = byOpened.get(opened) ?? moved
        byOpened.set(opened, known)
        return known === moved
      })
    })
}
