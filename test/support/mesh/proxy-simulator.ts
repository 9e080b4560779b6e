import type { Seconds } from '../../../lib/model/time.ts'

/**
 * A model of one Linkerd proxy and of the Prometheus that scrapes it: what really happened on one side, what Prometheus
 * holds of it on the other. It knows nothing of the code that it judges.
 *
 * The proxy, as its sources have it (linkerd2-proxy, transport-metrics and metrics/store): a series is born with its first
 * connection; reading the metrics page shows every series and *then* drops those without an open connection whose last use
 * (open or close) is more than ten minutes ago. So only a reader evicts, and a series can be dropped by one scrape and be
 * born again before the next one.
 */
export const RETAIN_IDLE: Seconds = 600

/** What happens to one instance. Times in seconds, in no order. */
export type Plan = {
  /** Life spans of the proxy's processes, oldest first, not overlapping. */
  readonly processes: readonly { readonly startedAt: Seconds; readonly endedAt: Seconds }[]
  /** Connections of one series. One that opens while no process lives does not happen. */
  readonly connections: readonly { readonly openedAt: Seconds; readonly closedAt: Seconds }[]
  /** When Prometheus asks. */
  readonly scrapeTimes: readonly Seconds[]
  /**
   * When asking does not work: `silent` Prometheus is not there and leaves no `up` at all; `refused` leaves `up` 0, the page is
   * not rendered; `late` leaves `up` 0, though the proxy rendered the page.
   */
  readonly outages: readonly {
    readonly from: Seconds
    readonly to: Seconds
    readonly kind: 'silent' | 'refused' | 'late'
  }[]
  /** When somebody else reads the page (viz beside another Prometheus, a person): it evicts, too. */
  readonly otherReads: readonly Seconds[]
}

/** One opened connection, and the scrape that could first show it. */
export type Opened = {
  readonly openedAt: Seconds
  /** The times of successful scrapes that showed the series with this connection counted in it, oldest first. */
  readonly shownAt: readonly Seconds[]
}

/** All that Prometheus ever held of the instance, and what was true. */
export type Recorded = {
  readonly up: readonly { readonly time: Seconds; readonly value: 0 | 1 }[]
  readonly openTotal: readonly { readonly time: Seconds; readonly value: number }[]
  readonly openConnections: readonly { readonly time: Seconds; readonly value: number }[]
  readonly processStart: readonly { readonly time: Seconds; readonly value: Seconds }[]
  readonly opened: readonly Opened[]
}

type Series = { total: number; open: number; lastUse: Seconds; counted: number[] }

type Step =
  | { at: Seconds; order: 0; do: 'end' }
  | { at: Seconds; order: 1; do: 'start' }
  | { at: Seconds; order: 2; do: 'close'; connection: number }
  | { at: Seconds; order: 3; do: 'open'; connection: number }
  | { at: Seconds; order: 4; do: 'read' }
  | { at: Seconds; order: 5; do: 'scrape' }

/** Runs the plan. At equal times a process ends before the next starts, and what is opened at the moment of a scrape is in it. */
export function simulate(plan: Plan): Recorded {
  const steps: Step[] = [
    ...plan.processes.flatMap(({ startedAt, endedAt }): Step[] => [
      { at: startedAt, order: 1, do: 'start' },
      { at: endedAt, order: 0, do: 'end' },
    ]),
    ...plan.connections.flatMap(({ openedAt, closedAt }, connection): Step[] => [
      { at: openedAt, order: 3, do: 'open', connection },
      { at: Math.max(openedAt + 0.001, closedAt), order: 2, do: 'close', connection },
    ]),
    ...plan.otherReads.map((at): Step => ({ at, order: 4, do: 'read' })),
    ...plan.scrapeTimes.map((at): Step => ({ at, order: 5, do: 'scrape' })),
  ].toSorted((a, b) => a.at - b.at || a.order - b.order)

  const up: { time: Seconds; value: 0 | 1 }[] = []
  const openTotal: { time: Seconds; value: number }[] = []
  const openConnections: { time: Seconds; value: number }[] = []
  const processStart: { time: Seconds; value: Seconds }[] = []
  const opened = new Map<number, { openedAt: Seconds; shownAt: Seconds[] }>()
  let startedAt: Seconds | undefined
  let series: Series | undefined
  const living = new Set<number>()

  /** Renders the page: shows, then drops. */
  const render = (at: Seconds): Series | undefined => {
    const shown = series
    if (series !== undefined && series.open === 0 && at - series.lastUse > RETAIN_IDLE) series = undefined
    return shown
  }

  for (const step of steps) {
    if (step.do === 'start') startedAt = step.at
    else if (step.do === 'end') {
      startedAt = undefined
      series = undefined
      living.clear()
    } else if (step.do === 'open' && startedAt !== undefined) {
      series ??= { total: 0, open: 0, lastUse: step.at, counted: [] }
      series.total += 1
      series.open += 1
      series.lastUse = step.at
      series.counted.push(step.connection)
      living.add(step.connection)
      opened.set(step.connection, { openedAt: step.at, shownAt: [] })
    } else if (step.do === 'close' && series !== undefined && living.delete(step.connection)) {
      series.open -= 1
      series.lastUse = step.at
    } else if (step.do === 'read') render(step.at)
    else if (step.do === 'scrape') {
      const outage = plan.outages.find(({ from, to }) => step.at >= from && step.at < to)
      if (outage?.kind === 'silent') continue
      if (startedAt === undefined || outage !== undefined) {
        if (outage?.kind === 'late') render(step.at)
        up.push({ time: step.at, value: 0 })
        continue
      }
      up.push({ time: step.at, value: 1 })
      processStart.push({ time: step.at, value: startedAt })
      const shown = render(step.at)
      if (shown === undefined) continue
      openTotal.push({ time: step.at, value: shown.total })
      openConnections.push({ time: step.at, value: shown.open })
      for (const connection of shown.counted) opened.get(connection)?.shownAt.push(step.at)
    }
  }
  return { up, openTotal, openConnections, processStart, opened: [...opened.values()] }
}
