/** What policy says about plain text on each port, beside what was seen there: two axes that are never mixed. */
import type { ClusterPeriod } from '../../model/period.ts'
import type { Destination, Enforcement } from '../../model/path.ts'
import { compareText } from '../../text/order.ts'
import type { Mark } from '../drawing/state-looks.ts'
import { seenAs } from '../../assess/judge/seen-as.ts'
import { countedAs, endpointKey, isClear, JUDGED } from './path-summary.ts'
import { distinct } from './sums.ts'

/**
 * What both come to. `open-and-used`: clear traffic came, and policy lets it. `open`: it lets plain text, none came. `contradicted`:
 * policy is said to refuse, and clear traffic came all the same. `closed-and-tried`: refused, and somebody tried. `closed`: refused,
 * nobody tried. `closed-now`: clear traffic came while policy let it, and policy refuses it now. `not-known`: what policy says is not known.
 */
export const ENFORCEMENT_READINGS = [
  'contradicted',
  'open-and-used',
  'not-known',
  'open',
  'closed-now',
  'closed-and-tried',
  'closed',
] as const

/** What policy and traffic of a port come to together. */
export type EnforcementReading = (typeof ENFORCEMENT_READINGS)[number]

/** A port, with what policy said and what was seen. */
export type PortEnforcement = {
  readonly cluster: string
  readonly workload: Destination
  readonly port: number
  /** What policy said, oldest first, each once in a row; empty where no window tells. */
  readonly policy: readonly Enforcement[]
  /** The worst of what was seen on the port. */
  readonly mark: Mark
  readonly paths: number
  /** Some traffic without mesh TLS was turned away. */
  readonly isRefused: boolean
  readonly reading: EnforcementReading
}

/** Ends that no policy of this cluster speaks of. */
const ELSEWHERE: ReadonlySet<string> = new Set(['external', 'service', 'unmeshed', 'serviceaccount', 'probe'])

/** One entry for each port of a workload on which something was seen; what asks for attention first. */
export function summarizeEnforcement(clusters: readonly ClusterPeriod[]): readonly PortEnforcement[] {
  return clusters
    .flatMap(({ id, rows }) => {
      const seen = rows.filter(
        ({ destination, state }) =>
          destination.cluster === null &&
          !ELSEWHERE.has(destination.kind) &&
          state !== 'not-observed' &&
          state !== 'not-collected',
      )
      const ports = Map.groupBy(seen, ({ destination, port }) => JSON.stringify([endpointKey(destination), port]))
      return [...ports.values()].flatMap((own) =>
        portOf(
          id,
          own.toSorted((a, b) => Date.parse(a.from) - Date.parse(b.from)),
        ),
      )
    })
    .sort(
      (a, b) =>
        ENFORCEMENT_READINGS.indexOf(a.reading) - ENFORCEMENT_READINGS.indexOf(b.reading) ||
        compareText(a.cluster, b.cluster) ||
        compareText(endpointKey(a.workload), endpointKey(b.workload)) ||
        a.port - b.port,
    )
}

function portOf(cluster: string, rows: ClusterPeriod['rows']): readonly PortEnforcement[] {
  const last = rows.at(-1)
  if (last === undefined) return []
  const marks = rows.map((row) => seenAs(row))
  const mark = countedAs(marks)
  // An exempt row (a probe, an admin port) says nothing of the policy that others meet.
  if (!JUDGED.includes(mark) && mark !== 'refused') return []
  const known = rows.flatMap(({ enforcement }) => (enforcement === 'unknown' ? [] : [enforcement]))
  const policy = known.filter((enforcement, index) => enforcement !== known[index - 1])
  const isRefused = marks.includes('refused')
  // A change in the period is no contradiction: only clear traffic in a row that says it is refused.
  const isContradicted = rows.some((row) => row.enforcement === 'plaintext-refused' && isClear(seenAs(row)))
  return [
    {
      cluster,
      workload: last.destination,
      port: last.port,
      policy,
      mark,
      paths: distinct(rows, ({ pathId }) => pathId).length,
      isRefused,
      reading: readingOf(policy.at(-1), { isClear: isClear(mark), isRefused, isContradicted }),
    },
  ]
}

function readingOf(
  policy: Enforcement | undefined,
  seen: { readonly isClear: boolean; readonly isRefused: boolean; readonly isContradicted: boolean },
): EnforcementReading {
  if (seen.isContradicted) return 'contradicted'
  if (policy === undefined) return 'not-known'
  if (policy === 'plaintext-refused')
    return seen.isClear ? 'closed-now' : seen.isRefused ? 'closed-and-tried' : 'closed'
  return seen.isClear ? 'open-and-used' : 'open'
}
