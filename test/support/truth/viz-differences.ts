import { windowOf, toSeconds } from '../../../lib/time/windows.ts'
import type { Window } from '../../../lib/model/time.ts'
import type { WindowResult } from '../../../lib/model/window.ts'
import { edgesDifferences } from '../../../lib/report/terminal/edges-difference.ts'
import { edgeRows, linkerdPairs } from '../../../lib/report/terminal/edge-rows.ts'
import { clock, isLike } from './exceptions.ts'
import type { EdgesListing } from './recordings.ts'
import type { EdgesRow, Truth } from './truth.ts'

/** Where `linkerd viz edges` showed something that `ciphertrail edges -o linkerd` does not show alike, by name and with its reason. */
export type VizDifference = {
  /** `namespace/name -> namespace/name`; `*` stands for any text. */
  readonly edge: string
  /** Ends of windows, `13:05`; absent: any. */
  readonly windows?: readonly string[]
  /** What ciphertrail shows instead; `*` as above. */
  readonly ours: string
  /**
   * Of the tick: `wrong`: the truth has clear traffic on that edge in that window, or no such edge at all. `not told`: ciphertrail cannot
   * tell, and says so; the truth has nothing against the tick.
   */
  readonly tick: 'wrong' | 'not told'
  readonly reason: string
}

const NO_LIST = 'no Kubernetes list was taken before the first window, so the source may have had a pod without a proxy'
const FIRST = 'Unknown: source-partly-unmeshed (no list)'

export const VIZ_DIFFERENCES: Readonly<Record<'demo' | 'public' | 'lives', readonly VizDifference[]>> = {
  demo: [
    {
      edge: 'emojivoto/web -> emojivoto/voting',
      windows: ['13:10', '13:25'],
      ours: 'Not Provided By Service Discovery',
      tick: 'wrong',
      reason: 'within the window voting left the mesh and joined it again: some traffic was plaintext',
    },
    { edge: '* -> *', windows: ['13:05'], ours: FIRST, tick: 'not told', reason: NO_LIST },
    {
      edge: 'linkerd-viz/metrics-api -> linkerd-viz/prometheus',
      windows: ['13:05'],
      ours: 'Unknown: destination-not-seen',
      tick: 'not told',
      reason: `${NO_LIST}, and the policy of viz’s Prometheus refuses the scrape that would show what reached it`,
    },
  ],
  public: [
    {
      edge: 'pub-app/other -> pub-legacy/c25-srv',
      ours: 'no such edge',
      tick: 'wrong',
      reason: 'no such workload exists: a pod of c25-cli has labels with this name, and sends plaintext',
    },
    {
      edge: 'pub-app/c29-cli -> pub-app/c29-srv',
      windows: ['12:20'],
      ours: 'Not Provided By Service Discovery',
      tick: 'wrong',
      reason: 'c29-srv left the mesh within the window: some traffic was plaintext',
    },
    {
      edge: 'pub-app/c08-cli -> pub-mixed/c08-srv',
      windows: ['12:55'],
      ours: 'Not Provided By Service Discovery',
      tick: 'wrong',
      reason: 'one of two pods of c08-srv has no proxy. `linkerd viz edges` shows the first sample of an edge',
    },
    { edge: '* -> *', windows: ['12:15'], ours: FIRST, tick: 'not told', reason: NO_LIST },
    {
      edge: 'pub-secure/c24-good -> pub-secure/c24-deny',
      windows: ['12:15'],
      ours: 'Unknown: destination-not-seen',
      tick: 'not told',
      reason: `${NO_LIST}, and the policy of c24-deny refuses the scrape that would show what reached it`,
    },
    {
      edge: '* -> *',
      windows: ['12:45'],
      ours: 'not collected',
      tick: 'not told',
      reason:
        'the recording Prometheus was unavailable in the whole window, and `edges` says that nothing was collected; viz has its own',
    },
  ],
  lives: [
    {
      edge: 'rec-a/web -> rec-a/api',
      windows: ['11:35'],
      ours: 'Not Provided By Service Discovery',
      tick: 'wrong',
      reason: 'between two lists both left the mesh and joined it again: some traffic was plaintext',
    },
    {
      edge: 'rec-a/batcher -> rec-a/store',
      windows: ['11:45'],
      ours: 'Unknown: source-partly-unmeshed (3 of 4)',
      tick: 'wrong',
      reason: 'three more pods of batcher lived between two lists, without a proxy, and sent plaintext to store',
    },
    {
      edge: 'rec-a/web -> rec-a/api',
      windows: ['12:00'],
      ours: 'Unknown: source-partly-unmeshed (1 of 3)',
      tick: 'wrong',
      reason: 'web was rolled out of the mesh and into it again between two lists, and called api in the clear',
    },
  ],
}

/** The same for the listings of pods, each pod put down to its workload. */
export const VIZ_POD_DIFFERENCES: readonly VizDifference[] = [
  ...VIZ_DIFFERENCES.public.filter(({ edge }) => !edge.includes('c08')),
  {
    edge: 'pub-app/c08-cli -> pub-mixed/c08-srv',
    ours: 'Not Provided By Service Discovery',
    tick: 'wrong',
    reason: 'one of two pods of c08-srv has no proxy; the tick is about the other',
  },
  {
    edge: 'pub-app/c25-cli -> pub-legacy/c25-srv',
    ours: 'Not Provided By Service Discovery',
    tick: 'wrong',
    reason: 'the pod says in its labels that it speaks TLS',
  },
]

type Finding = { readonly edge: string; readonly end: string; readonly theirs: string; readonly ours: string }

export type VizComparison = {
  /** Rows of all listings in windows that were collected or tried. */
  readonly rows: number
  /** Shown with the same tick, or both without. */
  readonly alike: number
  /** Every other row, by edge and window. */
  readonly findings: readonly Finding[]
}

/** Compares listings of workloads with what is known of the windows that hold their minutes. */
export function compareListings(
  listings: readonly EdgesListing[],
  windows: readonly Window[],
  resultOf: (window: Window) => WindowResult | undefined,
): VizComparison {
  const findings: Finding[] = []
  let [rows, alike] = [0, 0]
  for (const { at, kind, edges } of listings.filter((one) => one.kind !== 'pod')) {
    const window = windowAt(at, windows)
    if (window === undefined) continue
    const result = resultOf(window)
    const isRead = result?.collected === true
    const pairs = isRead ? linkerdPairs(edgeRows(result, { kind, exempt: 'admin-ports' })) : []
    const theirs = edges.map((edge) => ({ ...edge, client_id: '', server_id: '' }))
    const differences = edgesDifferences(theirs, pairs, kind)
    rows += edges.length
    alike += edges.length - differences.length
    for (const { src, srcNamespace, dst, dstNamespace, theirs: said, ours } of differences)
      findings.push({
        edge: `${srcNamespace}/${src} -> ${dstNamespace}/${dst}`,
        end: clock(window.end),
        theirs: said,
        ours: isRead ? (ours ?? 'no such edge') : 'not collected',
      })
  }
  return { rows, alike, findings: once(findings) }
}

/** Compares rows, also of pods that were put down to their workloads, by the names of both ends alone. */
export function compareRows(
  rows: readonly EdgesRow[],
  windows: readonly Window[],
  resultOf: (window: Window) => WindowResult | undefined,
): VizComparison {
  const findings: Finding[] = []
  let [compared, alike] = [0, 0]
  for (const [at, group] of Map.groupBy(rows, (row) => row.at)) {
    const window = windowAt(at, windows)
    if (window === undefined) continue
    const result = resultOf(window)
    const pairs = result?.collected === true ? linkerdPairs(edgeRows(result, { exempt: 'admin-ports' })) : null
    const ours = new Map(
      pairs?.map(({ edge }) => [`${edge.src_namespace}/${edge.src} -> ${edge.dst_namespace}/${edge.dst}`, edge]),
    )
    for (const { source, destination, secured } of group) {
      const edge = `${source} -> ${destination}`
      const reason = ours.get(edge)?.no_tls_reason
      compared++
      if (reason !== undefined && (reason === '') === secured) alike++
      else {
        const said = pairs === null ? 'not collected' : (reason ?? 'no such edge')
        findings.push({ edge, end: clock(window.end), theirs: secured ? '√' : 'not secured', ours: said || '√' })
      }
    }
  }
  return { rows: compared, alike, findings: once(findings) }
}

function windowAt(time: string, windows: readonly Window[]): Window | undefined {
  const { end } = windowOf([{ since: '2026-11-01T00:00:00Z', minutes: 5 }], toSeconds(time))
  return windows.find((window) => window.end === end)
}

function once(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()]
}

/** What no difference names, what the truth does not bear out, and the differences that name nothing: all are to be empty. */
export function unexplained({ findings }: VizComparison, known: readonly VizDifference[], truth: Truth): string[] {
  const used = new Set<VizDifference>()
  const left = findings.flatMap((finding) => {
    const difference = known.find(
      ({ edge, windows, ours }) =>
        isLike(edge, finding.edge) && (windows?.includes(finding.end) ?? true) && ours === finding.ours,
    )
    const text = `${finding.end} ${finding.edge}: linkerd ${finding.theirs}, ciphertrail ${finding.ours}`
    if (difference === undefined) return [text]
    used.add(difference)
    const isBorneOut =
      difference.tick === 'wrong' ? isWrong(finding, truth) : /^(Unknown: |not collected)/.test(finding.ours)
    return isBorneOut ? [] : [`the truth does not say so: ${text}`]
  })
  return [...left, ...known.filter((one) => !used.has(one)).map(({ edge, ours }) => `not needed: ${edge} ${ours}`)]
}

/** Whether the truth has clear traffic on an edge in a window, or no such edge. */
function isWrong({ edge, end, theirs }: Finding, truth: Truth): boolean {
  const [source = '', destination = ''] = edge.split(' -> ')
  const paths = truth.paths.filter(
    (path) => path.source.endsWith(`/${source}`) && path.destination.endsWith(`/${destination}`),
  )
  const isClear = paths.some(({ windows }) => windows.some((one) => clock(one.end) === end && one.flows.plaintext > 0))
  return theirs === '√' && (paths.length === 0 || isClear)
}

/** The differences of a recording, as Markdown. */
export function differencesTable(differences: readonly VizDifference[]): string {
  return [
    '| edge | windows that end | ciphertrail shows | the tick is | why |',
    '| --- | --- | --- | --- | --- |',
    ...differences.map(
      ({ edge, windows, ours, tick, reason }) =>
        `| \`${edge}\` | ${windows?.join(', ') ?? 'any'} | ${ours} | ${tick} | ${reason} |`,
    ),
  ].join('\n')
}
