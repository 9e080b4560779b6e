/** Makes the hours of one path, `shop/web` to `shop/db` port 80, from what each window showed, as they are derived from window results. */
import { periodFacts } from '../../../lib/assess/judge/period-facts.ts'
import { rulePeriod } from '../../../lib/assess/judge/rule.ts'
import { RULES } from '../../../lib/assess/judge/rules.ts'
import { WANTED_SHARE } from '../../../lib/assess/judge/stored-scope.ts'
import { atWantedShare } from '../../../lib/assess/judge/wanted.ts'
import type { RuleFinding } from '../../../lib/assess/judge/rule.ts'
import type { ClusterPeriod } from '../../../lib/model/period.ts'
import type { Coverage, WindowResult, Workload } from '../../../lib/model/window.ts'
import type { PathRow } from '../../../lib/model/history.ts'
import type { State } from '../../../lib/model/path.ts'
import { type Stretch, cluster, hours, workload } from './report-input.ts'
import { pathWindow, windowResult, workloadOf } from './window-results.ts'
import { CRYPTO } from './judged-period.ts'

const HOUR = 3600

/** Hours in four weeks. */
export const FOUR_WEEKS = 672

/** How an end of the path stood in a window: null where no list and no proxy showed it. */
export type ShownEnd = {
  readonly workload?: Partial<Workload>
  readonly coverage?: Partial<Coverage>
} | null

/** What a window showed; a window that says nothing was collected wholly, with mutual TLS. */
export type Shown = {
  readonly state?: State
  readonly reason?: string
  readonly outcome?: PathRow['outcome']
  /** No attempt is stored. */
  readonly isMissing?: boolean
  readonly web?: ShownEnd
  readonly db?: ShownEnd
  readonly isListed?: boolean
  readonly changes?: Partial<WindowResult>
}

/** The ends and the port, where they are others. */
export type ShownPath = {
  readonly source?: PathRow['source']
  readonly destination?: PathRow['destination']
  readonly port?: number
}

const WEB = workload('deployment', 'shop', 'web')
const DB = workload('deployment', 'shop', 'db')

/** A calendar period of so many hours. */
export function hoursOf(count: number): { from: string; to: string } {
  const from = Date.UTC(2026, 10, 2)
  const iso = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z')
  return { from: iso(from), to: iso(from + count * HOUR * 1000) }
}

/** What is read of an end that was scraped for so many of its seconds. */
export function scraped(seconds: number): ShownEnd {
  return { coverage: { observedSeconds: seconds, ratio: seconds / HOUR } }
}

function shownEnds(
  { web = {}, db = {} }: Shown,
  window: Coverage['window'],
): Pick<WindowResult, 'coverage' | 'workloads'> {
  const ends = [
    { end: WEB, shown: web },
    { end: DB, shown: db },
  ].flatMap(({ end, shown }) => (shown === null ? [] : [{ end, shown }]))
  return {
    workloads: ends.map(({ end: { kind, namespace, name, serviceAccount }, shown }) =>
      workloadOf('web', { kind, namespace, name, serviceAccount, ...shown.workload }),
    ),
    coverage: ends.map(({ end: { kind, namespace, name }, shown }) => ({
      cluster: 'prod',
      window,
      workload: { kind, namespace, name },
      expectedSeconds: HOUR,
      observedSeconds: HOUR,
      ratio: 1,
      pods: { total: 1, meshed: 1, scraped: 1 },
      gaps: [],
      ...shown.coverage,
    })),
  }
}

/** The results of the windows that are not missing. */
export function resultsOf(
  shown: readonly Shown[],
  { source = WEB, destination = DB, port = 80 }: ShownPath = {},
): WindowResult[] {
  const windows = hours(hoursOf(shown.length))
  return shown.flatMap((one, index) => {
    const window = windows[index]
    if (window === undefined || one.isMissing === true) return []
    const { state = 'mtls', reason = '', outcome = 'allowed', isListed = true, changes = {} } = one
    const isSilent = state === 'not-observed' || state === 'not-collected'
    const identities = { clientId: 'web.shop', serverId: 'db.shop' }
    const earliestExpiry = new Date(Date.parse(window.end) + 86_400_000).toISOString()
    return [
      windowResult(
        { start: window.start, end: window.end },
        {
          cluster: 'prod',
          inputs: { evidence: `evidence/${window.end}`, before: isListed ? 'a' : null, after: isListed ? 'b' : null },
          paths: isSilent
            ? []
            : [pathWindow({ pathId: 'a1', source, destination, port }, state, { reason, outcome, ...identities })],
          crypto: { ...CRYPTO, certificates: { earliestExpiry, latestExpiry: earliestExpiry, proxies: 4 } },
          ...shownEnds(one, window),
          ...changes,
        },
      ),
    ]
  })
}

/** The period that the windows come to. */
export function watchedPeriod(shown: readonly Shown[], ends: ShownPath = {}): ClusterPeriod {
  const missing = shown.flatMap(({ isMissing, changes }, index) =>
    isMissing === true || changes?.collected === false ? [index] : [],
  )
  const { source = WEB, destination = DB, port = 80 } = ends
  const results = resultsOf(shown, ends)
  const made = cluster(
    'prod',
    hours({ ...hoursOf(shown.length), missing }),
    [{ pathId: 'a1', source, destination, port, stretches: stretchesOf(shown) }],
    { coverage: results.flatMap((result) => (result.collected ? result.coverage : [])) },
  )
  return { ...made, facts: periodFacts(results) }
}

function stretchesOf(shown: readonly Shown[]): Stretch[] {
  const stretches: Stretch[] = []
  for (const [index, { state = 'mtls', reason = '', outcome = 'allowed' }] of shown.entries()) {
    const last = stretches.at(-1)
    if (last?.state === state && last.reason === reason && last.outcome === outcome)
      stretches[stretches.length - 1] = { ...last, to: index }
    else stretches.push({ from: index, to: index, state, reason, outcome, more: { enforcement: 'plaintext-refused' } })
  }
  return stretches
}

/** What a rule says of the first subject of a period. */
export function foundBy(
  rule: string,
  made: ClusterPeriod,
  { wantedShare = WANTED_SHARE, length = made.windows.length }: { wantedShare?: number; length?: number } = {},
): RuleFinding {
  const period = { ...hoursOf(length), to: made.windows.at(-1)?.end ?? hoursOf(length).to }
  const [first] = (RULES.find(({ id }) => id === rule)?.check(rulePeriod(made, period, wantedShare)) ?? []).map((one) =>
    atWantedShare(one, wantedShare),
  )
  if (first === undefined) throw new Error(`Cannot find "${rule}": it says nothing of the period`)
  return first
}
