/**
 * The data behind the documents as CSV (RFC 4180, UTF-8): one file for each subject, one table of columns for each file. The columns
 * are described in docs/report-data.md, which a test holds to these.
 */
import type { Endpoint } from '../../model/path.ts'
import type { Subject } from '../../model/judgement.ts'
import { type Columns, csvText, endColumns, fixLines, idOf, listOf } from './csv-text.ts'
import { conclusionWords } from '../sections/enforcement.ts'
import { severityOf } from '../summary/severity.ts'
import { type PathDetails, NO_DETAILS, detailsIn, isOpenAtEnd } from '../summary/path-details.ts'
import { isClear } from '../summary/path-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import type { Summary } from '../summary/summary.ts'

type CsvFile = { readonly name: string; readonly columns: readonly string[]; readonly body: string }

/** All CSV files of a period, in the order of the documents. Equal summaries give equal text. */
export function csvFiles(summary: Summary): readonly CsvFile[] {
  const { judgement } = summary
  const toldOf = detailsIn(summary)
  return [
    file('paths.csv', PATHS, pathRows(summary.paths, toldOf)),
    file('episodes.csv', EPISODES, summary.episodes.all),
    file('changes.csv', CHANGES, summary.changes.all),
    file('findings.csv', FINDINGS, findingRows(summary, toldOf)),
    file(
      'controls.csv',
      CONTROLS,
      judgement.frameworks.flatMap((framework) => framework.controls.map((control) => ({ framework, control }))),
    ),
    file('waivers.csv', WAIVERS, judgement.waivers),
    file(
      'out-of-scope.csv',
      OUT_OF_SCOPE,
      judgement.frameworks.flatMap((framework) => framework.outOfScope.map((row) => ({ framework, ...row }))),
    ),
    file('enforcement.csv', ENFORCEMENT, summary.enforcement),
    file('coverage.csv', COVERAGE, summary.clusters.flatMap(coverageRows)),
    file(
      'windows.csv',
      WINDOWS,
      summary.clusters.flatMap(({ id, windows }) => windows.map((window) => ({ cluster: id, ...window }))),
    ),
    file('workloads.csv', WORKLOADS, summary.clusters.flatMap(({ workloads }) => workloads).toSorted(byWorkload)),
  ]
}

function file<Row>(name: string, columns: Columns<Row>, rows: Iterable<Row>): CsvFile {
  return { name, columns: Object.keys(columns), body: csvText(columns, rows) }
}

// ---------------------------------------------------------------- columns

const named = <Row>(
  of: (row: Row) => Pick<PathSummary, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'>,
): Columns<Row> => ({
  cluster: (row) => of(row).cluster,
  path_id: (row) => of(row).pathId,
  ...endColumns<Row>('source', (row) => of(row).source),
  ...endColumns<Row>('destination', (row) => of(row).destination),
  destination_cluster: (row) => of(row).destination.cluster,
  port: (row) => of(row).port,
})

const statusOf = (told: PathDetails): string | null => {
  const isOpen = isOpenAtEnd(told)
  return isOpen === null ? null : isOpen ? 'open' : 'ended'
}

type DetailsOf = ReturnType<typeof detailsIn>

type PathRowOf = PathDetails & { readonly path: PathSummary }
function* pathRows(paths: Summary['paths'], toldOf: DetailsOf): Iterable<PathRowOf> {
  for (const path of paths) yield { path, ...toldOf(path) }
}
const PATHS: Columns<PathRowOf> = {
  ...named<PathRowOf>(({ path }) => path),
  class: ({ path }) => path.class,
  verdict: ({ path }) => path.verdict,
  seen_share: ({ path }) => path.seen?.share ?? null,
  severity: ({ exposure }) => (exposure === undefined ? null : severityOf(exposure)),
  owner: ({ owner }) => owner,
  status: statusOf,
  action: ({ action }) => action,
  state: ({ path }) => path.mark,
  not_encrypted: ({ path }) => isClear(path.mark),
  reason: ({ path }) => listOf(path.reasons.map(({ reason }) => reason)),
  cause: ({ path }) => listOf(path.reasons.flatMap(({ cause }) => cause ?? [])),
  fix: ({ path }) => fixLines(path.reasons.flatMap(({ fix }) => fix ?? [])),
  waivers: ({ path }) => listOf(path.failures.flatMap(({ waiver }) => waiver ?? [])),
  since: ({ exposure, open }) => exposure?.since ?? open?.openedAt ?? null,
  since_unknown: ({ exposure, open }) => exposure?.isSinceUnknown ?? open?.sinceUnknown ?? null,
  open_at_end: isOpenAtEnd,
  windows: ({ path }) => path.cells.length,
  windows_observed: ({ path }) => path.observedWindows,
  windows_not_encrypted: ({ path }) => path.windows.plaintext + path.windows['no-mesh-tls'],
  windows_unknown: ({ path }) => path.windows.unknown,
  windows_not_collected: ({ path }) => path.windows['not-collected'],
  connections: ({ path }) => path.opens,
  bytes: ({ path }) => path.bytes,
  clear_share: ({ exposure }) => exposure?.clearShare ?? null,
  corroborated: ({ path }) => path.corroborated,
  enforcement: ({ path }) => path.enforcement,
  candidates: ({ path }) => listOf(path.candidates.map(idOf)),
}

const EPISODES: Columns<Summary['episodes']['all'][number]> = {
  episode: ({ episode }) => episode.id,
  ...named<Summary['episodes']['all'][number]>((one) => one),
  opened_at: ({ episode }) => episode.openedAt,
  since_unknown: ({ episode }) => episode.sinceUnknown,
  may_be_earlier: ({ episode }) => episode.mayBeEarlier,
  ended_at: ({ episode }) => episode.endedAt,
  ending: ({ episode }) => episode.ending,
  seconds: ({ episode: { openedAt, endedAt } }) =>
    endedAt === null ? null : (Date.parse(endedAt) - Date.parse(openedAt)) / 1000,
  begun_in_period: ({ isNew }) => isNew,
}

const CHANGES: Columns<Summary['changes']['all'][number]> = {
  change: ({ kind }) => kind,
  ...named<Summary['changes']['all'][number]>((change) => change),
  opened_at: ({ episode }) => episode?.openedAt ?? null,
  ended_at: ({ episode }) => episode?.endedAt ?? null,
  ending: ({ episode }) => episode?.ending ?? null,
  open_seconds: ({ openSeconds }) => openSeconds,
  seen_since: ({ isSeenSince }) => isSeenSince,
  identity_of: ({ identity }) => identity?.end ?? null,
  identity_before: ({ identity }) => identity?.before ?? null,
  identity_after: ({ identity }) => identity?.after ?? null,
  enforcement_before: ({ enforcement }) => enforcement?.before ?? null,
  enforcement_after: ({ enforcement }) => enforcement?.after ?? null,
}

type FindingRow = PathDetails & {
  readonly finding: Summary['judgement']['findings'][number]
  readonly isCounted: boolean
}
function* findingRows({ judgement, settings }: Summary, toldOf: DetailsOf): Iterable<FindingRow> {
  const isCounted = ({ class: of, isWhole }: FindingRow['finding']): boolean =>
    isWhole === undefined && (of === null || settings.judgedClasses.includes(of))
  for (const finding of judgement.findings)
    yield {
      finding,
      isCounted: isCounted(finding),
      ...(finding.subject.kind === 'path' ? toldOf(finding.subject) : NO_DETAILS),
    }
}
const FINDINGS: Columns<FindingRow> = {
  rule: ({ finding }) => finding.rule,
  verdict: ({ finding }) => finding.verdict,
  waiver: ({ finding }) => finding.waiver,
  counted: ({ isCounted }) => isCounted,
  class: ({ finding }) => finding.class,
  seen_share: ({ finding }) => finding.seen?.share ?? null,
  severity: ({ finding, exposure }) =>
    exposure === undefined || finding.verdict !== 'fail' ? null : severityOf(exposure),
  owner: ({ owner }) => owner,
  status: (row) => (row.finding.verdict === 'fail' ? statusOf(row) : null),
  action: ({ finding, action }) => (finding.verdict === 'fail' ? action : null),
  cluster: ({ finding }) => finding.subject.cluster,
  subject_kind: ({ finding }) => finding.subject.kind,
  path_id: ({ finding: { subject } }) => (subject.kind === 'path' ? subject.pathId : null),
  source: ({ finding: { subject } }) => (subject.kind === 'path' ? idOf(subject.source) : null),
  workload: ({ finding: { subject } }) => subjectWorkload(subject),
  port: ({ finding: { subject } }) => (subject.kind === 'path' || subject.kind === 'port' ? subject.port : null),
  detail: ({ finding }) => finding.detail,
}

type ControlRow = {
  readonly framework: Summary['judgement']['frameworks'][number]
  readonly control: Summary['judgement']['frameworks'][number]['controls'][number]
}
const CONTROLS: Columns<ControlRow> = {
  framework: ({ framework }) => framework.id,
  version: ({ framework }) => framework.version,
  control: ({ control }) => control.id,
  relation: ({ control }) => control.relation,
  paraphrase: ({ control }) => control.paraphrase,
  note: ({ control }) => control.note,
  rules: ({ control }) => listOf(control.rules),
  verdict: ({ control }) => control.verdict,
  pass: ({ control }) => control.score.pass,
  fail: ({ control }) => control.score.fail,
  waived: ({ control }) => control.score.waived,
  not_enough_evidence: ({ control }) => control.score.notEnoughEvidence,
  incomplete_clusters: ({ control }) => control.score.incompleteClusters,
  share: ({ control }) => control.score.share,
}

const WAIVERS: Columns<Summary['judgement']['waivers'][number]> = {
  waiver: ({ waiver }) => waiver.id,
  status: ({ status }) => status,
  too_broad: ({ isTooBroad }) => isTooBroad,
  failures: ({ findings }) => findings,
  cluster: ({ waiver }) => waiver.cluster ?? null,
  rules: ({ waiver }) => (waiver.rules === undefined ? null : listOf(waiver.rules)),
  source: ({ waiver }) => waiver.source ?? null,
  destination: ({ waiver }) => waiver.destination ?? null,
  port: ({ waiver }) => waiver.port ?? null,
  owner: ({ waiver }) => waiver.owner,
  reason: ({ waiver }) => waiver.reason,
  compensating_control: ({ waiver }) => waiver.compensatingControl,
  expires: ({ waiver }) => waiver.expires,
}

type OutOfScopeRow = ControlRow['framework']['outOfScope'][number] & { readonly framework: ControlRow['framework'] }
const OUT_OF_SCOPE: Columns<OutOfScopeRow> = {
  framework: ({ framework }) => framework.id,
  cluster: ({ cluster }) => cluster,
  namespace: ({ namespace }) => namespace,
  workloads: ({ workloads }) => workloads,
  paths: ({ paths }) => paths,
}

const ENFORCEMENT: Columns<Summary['enforcement'][number]> = {
  cluster: ({ cluster }) => cluster,
  ...endColumns<Summary['enforcement'][number]>('workload', ({ workload }) => workload),
  port: ({ port }) => port,
  policy: ({ policy }) => (policy.length === 0 ? 'unknown' : listOf(policy)),
  worst_state: ({ mark }) => mark,
  refused_seen: ({ isRefused }) => isRefused,
  reading: ({ reading }) => reading,
  conclusion: conclusionWords,
  paths: ({ paths }) => paths,
}

type CoverageRow = {
  readonly cluster: string
  readonly workload: Endpoint
  readonly expected: number
  readonly observed: number
  readonly ratio: number | null
  readonly gap: Summary['clusters'][number]['gaps'][number] | null
}
const COVERAGE: Columns<CoverageRow> = {
  cluster: ({ cluster }) => cluster,
  kind: ({ workload }) => workload.kind,
  namespace: ({ workload }) => workload.namespace,
  name: ({ workload }) => workload.name,
  expected_pod_seconds: ({ expected }) => expected,
  observed_pod_seconds: ({ observed }) => observed,
  observed_share: ({ ratio }) => ratio,
  gap_reason: ({ gap }) => gap?.reason ?? null,
  gap_pod_seconds: ({ gap }) => gap?.podSeconds ?? null,
  gap_stretches: ({ gap }) => gap?.stretches ?? null,
  gap_from: ({ gap }) => gap?.from ?? null,
  gap_to: ({ gap }) => gap?.to ?? null,
}

/** One row for each reason of a workload's gaps, or one without. */
function coverageRows({ coverage, gaps }: Summary['clusters'][number]): readonly CoverageRow[] {
  const byWorkloadId = Map.groupBy(gaps, ({ workload }) => idOf(workload))
  return coverage.flatMap(({ cluster, workload, expectedSeconds: expected, observedSeconds: observed, ratio }) =>
    (byWorkloadId.get(idOf(workload)) ?? [null]).map((gap) => ({ cluster, workload, expected, observed, ratio, gap })),
  )
}

type WindowRow = Summary['clusters'][number]['windows'][number] & { readonly cluster: string }
const WINDOWS: Columns<WindowRow> = {
  cluster: ({ cluster }) => cluster,
  start: ({ start }) => start,
  end: ({ end: at }) => at,
  status: ({ collected, evidence }) => (collected ? 'collected' : evidence === null ? 'missing' : 'unreadable'),
  expected_pod_seconds: ({ expectedSeconds }) => expectedSeconds,
  observed_pod_seconds: ({ observedSeconds }) => observedSeconds,
  observed_share: ({ ratio }) => ratio,
  evidence: ({ evidence, also = [] }) => (evidence === null ? null : listOf([evidence, ...also])),
}

const WORKLOADS: Columns<Summary['unmeshed'][number]> = {
  cluster: ({ cluster }) => cluster,
  kind: ({ kind }) => kind,
  namespace: ({ namespace }) => namespace,
  name: ({ name }) => name,
  service_account: ({ serviceAccount }) => serviceAccount,
  meshed: ({ meshed }) => meshed,
  reason: ({ reason }) => reason,
  pods: ({ pods }) => pods,
  default_policy: ({ defaultPolicy }) => defaultPolicy,
  blind_spots: ({ blindSpots }) =>
    listOf(blindSpots.map(({ kind, port }) => (port === null ? kind : `${kind} ${port}`))),
  sent_without_proxy_bytes: ({ withoutProxy }) => withoutProxy?.sentBytes ?? null,
  received_without_proxy_bytes: ({ withoutProxy }) => withoutProxy?.receivedBytes ?? null,
  around_proxy_max_bytes: ({ aroundProxy }) => aroundProxy?.maxBytes ?? null,
}

// ---------------------------------------------------------------- names

function subjectWorkload(subject: Subject): string | null {
  switch (subject.kind) {
    case 'path':
      return idOf(subject.destination)
    case 'port':
    case 'workload':
      return idOf(subject.workload)
    case 'cluster':
      return null
  }
}

function byWorkload(a: Summary['unmeshed'][number], b: Summary['unmeshed'][number]): number {
  const keyOf = ({ cluster, namespace, name, kind }: typeof a): string =>
    JSON.stringify([cluster, namespace, name, kind])
  const [left, right] = [keyOf(a), keyOf(b)]
  return left < right ? -1 : left > right ? 1 : 0
}
