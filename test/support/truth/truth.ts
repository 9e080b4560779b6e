import { isIP } from 'node:net'
import { z } from 'zod'
import type { Coverage, Workload } from '../../../lib/model/window.ts'
import type { PathRow } from '../../../lib/model/history.ts'

/**
 * Judges what ciphertrail says of a recording by what was on the wire. It knows the rows and nothing of
 * how they came about. What the contract leaves open is decided against ciphertrail, and said so at the place.
 */

const CLASSES = ['plaintext', 'mtls', 'app_tls', 'none', 'refused'] as const
type FlowClass = (typeof CLASSES)[number]

const flows = z.record(z.string(), z.number())
const truthJson = z.object({
  start: z.string(),
  end: z.string(),
  window_seconds: z.number(),
  paths: z.array(
    z.object({
      src: z.string(),
      dst: z.string(),
      port: z.union([z.number(), z.string()]),
      proto: z.string(),
      case: z.string().nullish(),
      windows: z.array(
        z.object({
          start: z.string(),
          end: z.string(),
          plaintext: z.number(),
          mtls: z.number(),
          app_tls: z.number(),
          none: z.number(),
          refused: z.number(),
          opened: flows,
          active: flows.optional(),
        }),
      ),
    }),
  ),
})

export type TruthWindow = {
  readonly start: string
  /** End of the full window on the clock that holds it, also where the recording began or stopped inside it. */
  readonly end: string
  /** Flows open at any time in the window. */
  readonly flows: Readonly<Record<FlowClass, number>>
  /** Flows that began in it. */
  readonly opened: Readonly<Record<FlowClass, number>>
}

export type TruthPath = {
  /** `kind/namespace/name`, `kubelet`, `host/...` or `external/ADDRESS`. */
  readonly source: string
  readonly destination: string
  /** The ports it may have been; null where the wire does not show it (`4143?`). */
  readonly ports: readonly number[] | null
  readonly protocol: string
  /** Null for what happened beside the cases, such as the control plane's own connections. */
  readonly case: string | null
  readonly windows: readonly TruthWindow[]
}

export type Truth = { readonly start: string; readonly end: string; readonly paths: readonly TruthPath[] }

/** Reads truth.json. Throws where it has another shape, or a port that is neither a number, `a|b` nor `4143?`. */
export function parseTruth(text: string): Truth {
  const truth = truthJson.parse(JSON.parse(text))
  const seconds = truth.window_seconds
  return {
    start: truth.start,
    end: truth.end,
    paths: truth.paths.map((path) => ({
      source: path.src,
      destination: path.dst,
      ports: parsePorts(String(path.port)),
      protocol: path.proto,
      case: path.case ?? null,
      windows: path.windows.map((window) => ({
        start: windowEnd(window.end, seconds, -seconds),
        end: windowEnd(window.end, seconds),
        flows: counts(window),
        opened: counts(window.opened),
      })),
    })),
  }
}

function parsePorts(text: string): number[] | null {
  if (text.endsWith('?')) return null
  const ports = text.split('|').map(Number)
  if (ports.some((port) => !Number.isInteger(port))) throw new Error(`Cannot read port "${text}" of truth.json`)
  return ports
}

function counts(window: Readonly<Record<string, unknown>>): Record<FlowClass, number> {
  const count = (name: FlowClass): number => Number(window[name] ?? 0)
  return {
    plaintext: count('plaintext'),
    mtls: count('mtls'),
    app_tls: count('app_tls'),
    none: count('none'),
    refused: count('refused'),
  }
}

/** The end of the window on the clock that a truth window, perhaps cut by the recording's end, belongs to; and seconds more. */
function windowEnd(time: string, seconds: number, more = 0): string {
  const length = seconds * 1000
  return new Date(Math.ceil(Date.parse(time) / length) * length + more * 1000).toISOString().replace('.000Z', 'Z')
}

/** What ciphertrail says of one window. */
export type Reported = {
  /** Rows that hold in the window; `not-observed` and `not-collected` say that nothing was seen. */
  readonly rows: readonly PathRow[]
  readonly workloads: readonly Workload[]
  readonly coverage: readonly Coverage[]
}

/** The rows of the confusion table. */
const TRUTHS = ['mtls', 'plaintext', 'plaintext and mtls', 'application TLS', 'no payload', 'refused'] as const
export type TruthClass = (typeof TRUTHS)[number]

/** The columns of the confusion table. */
const COLUMNS = ['not encrypted', 'unknown', 'tls-anonymous', 'app-tls', 'mtls', 'exempt', 'absent'] as const
type Column = (typeof COLUMNS)[number]

export type Verdict = {
  readonly path: TruthPath
  readonly end: string
  readonly truth: TruthClass
  readonly column: Column
  /**
   * Of plaintext: reported, flagged, false, missed, exempt (a kubelet's probe). Of mTLS: right, unknown, false-alarm, absent.
   * Of the admin ports: listed or unlisted. Of the rest: false (application TLS or nothing said to be mTLS), else fine.
   */
  readonly verdict:
    | 'reported'
    | 'flagged'
    | 'false'
    | 'missed'
    | 'exempt'
    | 'right'
    | 'unknown'
    | 'false-alarm'
    | 'absent'
    | 'listed'
    | 'unlisted'
    | 'fine'
  /** Why no proxy could see it, one for each end, from the blind spots and gaps of that window; empty: no excuse. */
  readonly excuses: readonly string[]
  /** A neighbouring window says what this one should (or had what this one says): perhaps only the border between them. */
  readonly borderline: boolean
  /** The rows it was judged by. */
  readonly rows: readonly string[]
}

export type Judgement = {
  readonly verdicts: readonly Verdict[]
  /** Encrypted, it says, and it was not: must be empty. */
  readonly false: readonly Verdict[]
  /** Not encrypted and not said, without an excuse: must be empty. */
  readonly missed: readonly Verdict[]
  /** Not encrypted and not said, but no proxy could see it, and that is said. */
  readonly blind: readonly Verdict[]
  /** mTLS that is called not encrypted: must be empty. */
  readonly falseAlarms: readonly Verdict[]
  /** mTLS without a row, outside gaps: must be empty. */
  readonly absent: readonly Verdict[]
  /** mTLS called `unknown` (or less than mutual) outside gaps: at most one in fifty of `mtlsOutsideGaps`. */
  readonly unknown: readonly Verdict[]
  readonly mtlsOutsideGaps: number
  /** All of the above that may only be the border between two windows. They are not excused. */
  readonly borderline: readonly Verdict[]
  /** Rows that say "not encrypted" of a destination and port to which nothing but mTLS, or nothing at all, went in that window. */
  readonly phantoms: readonly { readonly end: string; readonly row: string }[]
}

/** @param reported what ciphertrail says, by the end of the window; a window that is absent says nothing */
export function judge(truth: Truth, reported: ReadonlyMap<string, Reported>): Judgement {
  const nothing: Reported = { rows: [], workloads: [], coverage: [] }
  const said = (end: string): Reported => reported.get(end) ?? nothing
  const verdicts = truth.paths.flatMap((path) =>
    path.windows.flatMap((window) => {
      const truthClass = classOf(window.flows)
      if (truthClass === undefined) return []
      const here = judgeWindow(path, truthClass, said(window.end))
      const before = path.windows.find(({ end }) => end === window.start)
      const after = path.windows.find(({ start }) => start === window.end)
      return [
        {
          ...here,
          path,
          end: window.end,
          truth: truthClass,
          borderline: isBorderline(here.verdict, path, window, before, after, said),
        },
      ]
    }),
  )
  const of = (...wanted: Verdict['verdict'][]): Verdict[] => verdicts.filter(({ verdict }) => wanted.includes(verdict))
  const inGap = ({ path, end }: Verdict): boolean =>
    [path.source, path.destination].some((name) => gapOf(name, said(end)) !== undefined)
  const missed = of('missed')
  const outcome = {
    false: of('false'),
    missed: missed.filter(({ excuses }) => excuses.length === 0),
    falseAlarms: of('false-alarm'),
    absent: of('absent').filter(({ excuses }) => excuses.length === 0),
    unknown: of('unknown').filter((verdict) => !inGap(verdict)),
  }
  return {
    ...outcome,
    verdicts,
    blind: missed.filter(({ excuses }) => excuses.length > 0),
    mtlsOutsideGaps: of('right', 'unknown', 'false-alarm', 'absent').filter((verdict) => !inGap(verdict)).length,
    borderline: Object.values(outcome).flatMap((list) => list.filter(({ borderline }) => borderline)),
    phantoms: phantomsOf(truth, reported),
  }
}

function classOf({ plaintext, mtls, app_tls, none, refused }: TruthWindow['flows']): TruthClass | undefined {
  if (plaintext > 0) return mtls > 0 ? 'plaintext and mtls' : 'plaintext'
  if (app_tls > 0) return 'application TLS'
  if (mtls > 0) return 'mtls'
  if (none > 0) return 'no payload'
  return refused > 0 ? 'refused' : undefined
}

const ADMIN_PORTS = new Set([4190, 4191])
const NOT_ENCRYPTED = new Set(['plaintext', 'no-mesh-tls'])
const SEEN_NOTHING = new Set(['not-observed', 'not-collected'])

type Judged = Pick<Verdict, 'verdict' | 'column' | 'excuses' | 'rows'>

function judgeWindow(path: TruthPath, truth: TruthClass, said: Reported): Judged {
  const rows = said.rows.filter(
    (row) =>
      !SEEN_NOTHING.has(row.state) &&
      (path.ports === null || path.ports.includes(row.port)) &&
      isDestination(path, row),
  )
  const own = rows.filter((row) => isSource(path.source, row, said))
  const unnamed = rows.filter((row) => row.source.kind === 'unmeshed')
  const judged = (verdict: Verdict['verdict'], by: readonly PathRow[]): Judged => ({
    verdict,
    column: columnOf(by),
    excuses: ['missed', 'absent'].includes(verdict) ? excusesOf(path, said) : [],
    rows: by.map(wordRow),
  })
  const clear = [...own, ...unnamed].filter(({ state }) => NOT_ENCRYPTED.has(state))

  if (path.ports?.some((port) => ADMIN_PORTS.has(port)) === true) {
    if (clear.length > 0 && truth !== 'mtls') return judged('reported', clear)
    // Listed with its own state: `admin-port (mtls)` does not list a scrape that was in the clear.
    const listed = rows.filter(
      ({ state, reason }) => state === 'exempt' && (truth === 'mtls' || !/\(mtls\)/.test(reason)),
    )
    return judged(listed.length > 0 ? 'listed' : 'unlisted', listed)
  }

  switch (truth) {
    case 'plaintext':
    case 'plaintext and mtls': {
      if (clear.length > 0) return judged('reported', clear)
      const good = own.filter(({ state }) => state !== 'unknown')
      const probe = path.source === 'kubelet' && good.every(({ state }) => state === 'exempt')
      // The contract does not say which of "flagged" and "false" goes first: an encrypted row of its own is worse.
      if (good.length > 0 && !probe && own.length === good.length) return judged('false', good)
      const doubtful = [...own, ...unnamed].filter(({ state }) => state === 'unknown')
      if (doubtful.length > 0) return judged('flagged', doubtful)
      return good.length > 0 ? judged('exempt', good) : judged('missed', [])
    }
    case 'mtls': {
      const anonymous = unnamed.filter(({ state }) => state === 'tls-anonymous')
      const seen = own.length > 0 ? own : anonymous
      if (seen.length === 0) return judged('absent', [])
      if (seen.some(({ state }) => NOT_ENCRYPTED.has(state))) return judged('false-alarm', seen)
      return judged(seen.every(({ state }) => state === 'mtls') ? 'right' : 'unknown', seen)
    }
    case 'application TLS':
      // Encrypted by the application is not "mTLS by the mesh": identity was not verified. All else is fair.
      return judged(own.some(({ state }) => state === 'mtls') && clear.length === 0 ? 'false' : 'fine', [
        ...own,
        ...unnamed,
      ])
    case 'no payload':
    case 'refused':
      return judged('fine', own)
  }
}

function columnOf(rows: readonly PathRow[]): Column {
  const states = new Set<string>(rows.map(({ state }) => state))
  if (states.has('plaintext') || states.has('no-mesh-tls')) return 'not encrypted'
  return COLUMNS.find((column) => states.has(column)) ?? 'absent'
}

function wordRow(row: PathRow): string {
  const end = ({ kind, namespace, name }: PathRow['source']): string =>
    [kind, namespace, name].filter(Boolean).join('/')
  const reason = row.reason === '' ? '' : ` (${row.reason})`
  return `${end(row.source)} -> ${end(row.destination)}:${row.port} ${row.state}${reason} ${row.outcome}`
}

/** Row and wire agree on a workload by name; outside the cluster the wire has the address, the row perhaps the host name. */
function isDestination({ destination }: TruthPath, row: PathRow): boolean {
  const { kind, namespace, name } = row.destination
  if (destination.startsWith('external/'))
    return kind === 'external' && (isIP(name) === 0 || `external/${name}` === destination)
  return `${kind}/${namespace}/${name}` === destination
}

/** A row's own source: the workload, its identity where only the server saw it, the kubelet's probe path. */
function isSource(source: string, row: PathRow, { workloads }: Reported): boolean {
  const { kind, namespace, name } = row.source
  if (source === 'kubelet') return kind === 'probe'
  if (kind !== 'serviceaccount') return `${kind}/${namespace}/${name}` === source
  const account = workloads.find((workload) => wordWorkload(workload) === source)?.serviceAccount
  return (
    row.candidates.some((candidate) => wordWorkload(candidate) === source) ||
    (account === name && source.split('/')[1] === namespace)
  )
}

function wordWorkload({ kind, namespace, name }: Pick<Workload, 'kind' | 'namespace' | 'name'>): string {
  return `${kind}/${namespace}/${name}`
}

/** Why no proxy could see the path, one line for each end, as the window's own blind spots and gaps have it. Empty: one could. */
function excusesOf(path: TruthPath, said: Reported): string[] {
  const ends = [path.source, path.destination]
  if (path.protocol === 'udp') {
    const udp = ends.filter((name) => blindSpotsOf(name, said).some(({ kind }) => kind === 'udp'))
    return udp.map((name) => `${name}: udp`)
  }
  const source = blindnessOf(
    path.source,
    said,
    ['unmeshed', 'host-network', 'not-scraped', 'skip-outbound', 'skip-subnet'],
    null,
  )
  const ports = path.ports
  const destination = blindnessOf(
    path.destination,
    said,
    ['unmeshed', 'host-network', 'not-scraped', 'skip-inbound'],
    ports,
  )
  return source !== undefined && destination !== undefined ? [source, destination] : []
}

/**
 * @param ports the ports of which a blind spot with ports must name one. Null: any port will do, since what a source skips is
 *   written with the service's port, and the wire has the pod's
 */
function blindnessOf(
  name: string,
  said: Reported,
  kinds: readonly string[],
  ports: readonly number[] | null,
): string | undefined {
  if (!isWorkload(name)) return `${name}: not in the mesh by nature`
  const spot = blindSpotsOf(name, said).find(
    ({ kind, port }) =>
      kinds.includes(kind) && (port === null || ports === null || ports.some((one) => isPortIn(port, one))),
  )
  if (spot !== undefined) return `${name}: ${spot.kind}`
  const gap = gapOf(name, said)
  return gap === undefined ? undefined : `${name}: ${gap}`
}

function isWorkload(name: string): boolean {
  return name.split('/').length === 3
}

function isPortIn(range: string, port: number): boolean {
  const [low = NaN, high = low] = range.split('-').map(Number)
  return port >= low && port <= high
}

function blindSpotsOf(name: string, { workloads }: Reported): Workload['blindSpots'] {
  return workloads.filter((workload) => wordWorkload(workload) === name).flatMap(({ blindSpots }) => blindSpots)
}

/** The longest gap of a workload in the window, in words; undefined without one. */
function gapOf(name: string, { coverage }: Reported): string | undefined {
  const seconds = ({ from, to }: { from: string; to: string }): number => (Date.parse(to) - Date.parse(from)) / 1000
  const gaps = coverage.filter(({ workload }) => wordWorkload(workload) === name).flatMap(({ gaps: all }) => all)
  const longest = gaps.toSorted((a, b) => seconds(b) - seconds(a))[0]
  return longest === undefined ? undefined : `gap ${longest.reason}, ${seconds(longest)} s`
}

/**
 * A window counts an event at its first scrape, so what happened just before its end stands in the next one. truth.json has no
 * times inside a window; so this only marks what may be that, and excuses nothing.
 */
function isBorderline(
  verdict: Verdict['verdict'],
  path: TruthPath,
  window: TruthWindow,
  before: TruthWindow | undefined,
  after: TruthWindow | undefined,
  said: (end: string) => Reported,
): boolean {
  if (verdict === 'false-alarm' || verdict === 'unknown') return (before?.flows.plaintext ?? 0) > 0
  if (verdict !== 'missed' && verdict !== 'absent' && verdict !== 'false') return false
  // All of its flows began in this window, and the next one has the row.
  const name = verdict === 'absent' ? 'mtls' : 'plaintext'
  if (window.opened[name] < window.flows[name] || after === undefined) return false
  return ['reported', 'right'].includes(judgeWindow(path, name, said(after.end)).verdict)
}

function phantomsOf(truth: Truth, reported: ReadonlyMap<string, Reported>): { end: string; row: string }[] {
  const known = new Set(truth.paths.map(({ destination }) => destination))
  return [...reported].flatMap(([end, { rows }]) =>
    rows
      .filter((row) => NOT_ENCRYPTED.has(row.state) && known.has(wordWorkload(row.destination)))
      .filter(
        (row) =>
          !truth.paths.some(
            (path) =>
              isDestination(path, row) &&
              (path.ports === null || path.ports.includes(row.port)) &&
              path.windows.some(
                (window) =>
                  window.end === end &&
                  window.flows.plaintext + window.flows.app_tls + window.flows.none + window.flows.refused > 0,
              ),
          ),
      )
      .map((row) => ({ end, row: wordRow(row) })),
  )
}

/** The paths of the confusion tables: those of the cases, without the proxies' admin ports. */
export function isCase({ case: id, ports }: TruthPath): boolean {
  return id !== null && ports?.some((port) => ADMIN_PORTS.has(port)) !== true
}

/** Path-windows by truth (rows) and by what was said (columns), as Markdown. Rows without any are left out. */
export function confusionTable(judgement: Judgement): string {
  const cases = judgement.verdicts.filter(({ path }) => isCase(path))
  return table(
    COLUMNS,
    TRUTHS,
    cases.map(({ truth, column }) => [truth, column]),
  )
}

const SAID_BY_EDGES = ['secured', 'not secured', 'both', 'absent'] as const

/** One row of a `linkerd viz edges` listing, its ends as `kind/namespace/name`, or `namespace/name` where the kind is not known. */
export type EdgesRow = {
  /** When it was listed, RFC 3339. */
  readonly at: string
  readonly source: string
  readonly destination: string
  readonly secured: boolean
}

/**
 * The same for `linkerd viz edges`: what it said in any of its listings in the window. Its rows have neither kind nor port, so
 * a row stands for each path between two names.
 */
export function edgesTable(truth: Truth, edges: readonly EdgesRow[]): string {
  return table(SAID_BY_EDGES, TRUTHS, edgesCells(truth, edges))
}

/** The cells of {@link edgesTable}, one for each path-window. */
function edgesCells(truth: Truth, edges: readonly EdgesRow[]): [TruthClass, (typeof SAID_BY_EDGES)[number]][] {
  const said = Map.groupBy(edges, ({ source, destination }) => `${source} ${destination}`)
  return truth.paths.filter(isCase).flatMap((path) => {
    const rows = said.get(`${withoutKind(path.source)} ${withoutKind(path.destination)}`) ?? []
    return path.windows.flatMap((window): [TruthClass, (typeof SAID_BY_EDGES)[number]][] => {
      const truthClass = classOf(window.flows)
      if (truthClass === undefined) return []
      const inside = rows.filter(
        ({ at }) => Date.parse(at) > Date.parse(window.start) && Date.parse(at) <= Date.parse(window.end),
      )
      const ticks = new Set(inside.map(({ secured }) => secured))
      const column =
        ticks.size === 2 ? 'both' : ticks.has(true) ? 'secured' : ticks.has(false) ? 'not secured' : 'absent'
      return [[truthClass, column]]
    })
  })
}

function withoutKind(name: string): string {
  return isWorkload(name) ? name.split('/').slice(1).join('/') : name
}

function table(
  columns: readonly string[],
  rows: readonly string[],
  cells: readonly (readonly [string, string])[],
): string {
  const count = (row: string, column: string): number => cells.filter(([a, b]) => a === row && b === column).length
  return [
    `| truth | ${columns.join(' | ')} |`,
    `| --- |${columns.map(() => ' --: |').join('')}`,
    ...rows
      .filter((row) => cells.some(([a]) => a === row))
      .map((row) => `| ${row} | ${columns.map((column) => count(row, column)).join(' | ')} |`),
  ].join('\n')
}
