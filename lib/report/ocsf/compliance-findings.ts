/** A report as OCSF Compliance Findings (class 2003), described in docs/report-data.md: one for each judged path. It counts nothing. */
import type { Endpoint } from '../../model/path.ts'
import { bytesOf, listText } from '../../text/json-lines.ts'
import { printable } from '../../text/printable.ts'
import { idOf } from '../csv/csv-text.ts'
import { stableUuid } from '../stable-uuid.ts'
import { type PathDetails, detailsIn } from '../summary/path-details.ts'
import { type Named, type PathSummary, endpointKey, pathKey } from '../summary/path-summary.ts'
import { reportId } from '../summary/report-id.ts'
import type { Summary } from '../summary/summary.ts'
import { complianceOf, lifecycleOf, severityIn } from './finding-status.ts'

/** The version of the schema; a test holds findings to it. */
const OCSF_VERSION = '1.6.0'

const CLASS = 2003
const RULE = 'path-is-encrypted'

/**
 * All findings, one on each line of a JSON array, by cluster and path: every path of the judged classes, and those that are open although nobody saw
 * them in the period. Equal summaries give equal text.
 */
export function complianceFindings(summary: Summary): Uint8Array {
  return bytesOf(listText(findingsOf(summary)))
}

function* findingsOf(summary: Summary): Iterable<object> {
  const detailsOf = detailsIn(summary)
  const about = common(summary)
  const paths = summary.paths.filter((path) => summary.settings.judgedClasses.includes(path.class))
  const known = new Set(paths.map(pathKey))
  for (const path of paths) yield findingOf(summary, about, { named: path, path, details: detailsOf(path) })
  for (const named of summary.episodes.all)
    if (named.episode.endedAt === null && !known.has(pathKey(named)))
      yield findingOf(summary, about, { named, path: undefined, details: detailsOf(named) })
}

/** What all findings of a report share. */
type Common = {
  readonly id: string
  readonly time: number
  readonly start: number
  /** Frameworks with controls that the rule tests directly: how they are named, and which controls, by the framework's id. */
  readonly frameworks: ReadonlyMap<string, { readonly standard: string; readonly requirements: readonly string[] }>
}

function common(summary: Summary): Common {
  const { judgement, period } = summary
  return {
    id: reportId(summary),
    time: Date.parse(period.to),
    start: Date.parse(period.from),
    frameworks: new Map(
      judgement.frameworks.flatMap(({ id, title, version, controls }) => {
        const direct = controls.filter(({ relation, rules }) => relation === 'direct' && rules.includes(RULE))
        if (direct.length === 0) return []
        return [
          [id, { standard: `${title}, ${version}`, requirements: direct.map((control) => `${title} ${control.id}`) }],
        ]
      }),
    ),
  }
}

type Told = {
  readonly named: Named
  /** Undefined where nothing is told of it in the period. */
  readonly path: PathSummary | undefined
  readonly details: PathDetails
}

function findingOf(summary: Summary, about: Common, told: Told): object {
  const { named, path, details } = told
  const { activity, status } = lifecycleOf(path, details, summary.period.from)
  const severity = severityIn(path, details)
  const uid = stableUuid('path', named.cluster, named.pathId)
  const name = printable(`${idOf(named.source)} to ${idOf(named.destination)}:${named.port}`)
  const detail = path === undefined ? 'Nothing was seen of it in the period' : printable(path.detail)
  return {
    activity_id: activity.id,
    activity_name: activity.caption,
    category_name: 'Findings',
    category_uid: 2,
    class_name: 'Compliance Finding',
    class_uid: CLASS,
    type_name: `Compliance Finding: ${activity.caption}`,
    type_uid: CLASS * 100 + activity.id,
    time: about.time,
    start_time: about.start,
    end_time: about.time,
    severity: severity.caption,
    severity_id: severity.id,
    status: status.caption,
    status_id: status.id,
    message: `${name}: ${detail}`,
    metadata: {
      version: OCSF_VERSION,
      uid: stableUuid('event', about.id, uid),
      correlation_uid: about.id,
      product: { name: 'ciphertrail', vendor_name: 'ciphertrail', version: printable(summary.version) },
    },
    finding_info: findingInfo(about, told, { uid, name, detail }),
    compliance: complianceIn(summary, about, told),
    ...resourcesOf(summary, told),
    evidences: [
      {
        src_endpoint: endpoint(named.source),
        dst_endpoint: { ...endpoint(named.destination), port: named.port },
      },
    ],
    ...remediationOf(path),
    unmapped: unmapped(summary, told),
  }
}

function findingInfo(
  about: Common,
  { path, details: { exposure, open } }: Told,
  { uid, name, detail }: { readonly uid: string; readonly name: string; readonly detail: string },
): object {
  const since = exposure?.since ?? open?.openedAt
  return {
    uid,
    title: `${titleOf(path)}: ${name}`,
    desc: detail,
    types: [RULE],
    analytic: { name: RULE, type: 'Rule', type_id: 1, uid: RULE },
    data_sources: ['Linkerd proxy metrics', 'Kubernetes API'],
    ...(since === undefined ? {} : { created_time: Date.parse(since), first_seen_time: Date.parse(since) }),
    ...(exposure === undefined ? {} : { last_seen_time: Date.parse(exposure.last) }),
    modified_time: about.time,
  }
}

/** Only a verdict that rests on enough evidence says how the path was. */
function titleOf(path: PathSummary | undefined): string {
  switch (path?.verdict) {
    case 'fail':
      return 'The path was not encrypted by the mesh'
    case 'pass':
      return 'The path was encrypted by the mesh'
    case 'not-enough-evidence':
      return 'Not enough evidence that the path was encrypted'
    case 'not-applicable':
      return 'Nothing to judge of the path'
    case undefined:
      return 'Not encrypted when it was last seen'
  }
}

function complianceIn(summary: Summary, about: Common, { named, path }: Told): object {
  const compliance = complianceOf(path)
  const own = (summary.frameworks.get(pathKey(named)) ?? []).flatMap((id) => about.frameworks.get(id) ?? [])
  return {
    control: RULE,
    desc: 'What was observed of this path. No standard is met or missed by one path alone.',
    status: compliance.caption,
    status_id: compliance.id,
    ...(path === undefined ? {} : { status_code: path.verdict, status_details: [printable(path.detail)] }),
    standards: own.map(({ standard }) => standard),
    requirements: own.flatMap(({ requirements }) => requirements),
    ...(path === undefined || path.failures.length === 0
      ? {}
      : { checks: path.failures.map(({ rule }) => ({ uid: rule, name: rule, status: 'Fail', status_id: 3 })) }),
  }
}

/** Both ends. The first one, which is to be changed where an action says so, has who answers for the path. */
function resourcesOf(summary: Summary, { named, details: { owner, action } }: Told): object {
  const target = summary.actions.find(({ number }) => number === action)?.target
  const ends = [named.destination, named.source].filter(({ name }) => name !== '')
  const isTarget = (end: Endpoint): boolean => target !== undefined && endpointKey(end) === endpointKey(target)
  const ordered = [...ends.filter(isTarget), ...ends.filter((end) => !isTarget(end))]
  if (ordered.length === 0) return {}
  return {
    resources: ordered.map((end, index) => ({
      uid: printable(`${named.cluster}/${idOf(end)}`),
      name: printable(end.name),
      type: printable(end.kind),
      ...(end.namespace === '' ? {} : { namespace: printable(end.namespace) }),
      ...(index === 0 && owner !== null ? { owner: { name: printable(owner) } } : {}),
    })),
  }
}

const endpoint = (end: Endpoint): object => ({
  name: printable(idOf(end)),
  ...(end.name === '' ? {} : { svc_name: printable(end.name) }),
})

function remediationOf(path: PathSummary | undefined): object {
  const fixes = path?.verdict === 'fail' ? [...new Set(path.reasons.flatMap(({ fix }) => fix ?? []))] : []
  const lines = fixes.flatMap((fix) => fix.split('\n')).map(printable)
  return lines.length === 0 ? {} : { remediation: { desc: lines.join('\n') } }
}

/** What OCSF has no place for. */
function unmapped(summary: Summary, { named, path, details: { exposure, open, action, owner } }: Told): object {
  return {
    cluster: printable(named.cluster),
    path_id: printable(named.pathId),
    wanted_share: summary.judgement.wantedShare,
    ...(path === undefined
      ? {}
      : {
          state: path.mark,
          seen_share: path.seen?.share ?? null,
          told_share: path.seen?.told ?? null,
          windows: path.cells.length,
          windows_observed: path.observedWindows,
          windows_not_collected: path.windows['not-collected'],
          causes: [...new Set(path.reasons.flatMap(({ cause }) => cause ?? []))],
          waivers: [...new Set(path.failures.flatMap(({ waiver }) => waiver ?? []))].map(printable),
        }),
    since_unknown: exposure?.isSinceUnknown ?? open?.sinceUnknown ?? null,
    clear_share: exposure?.clearShare ?? null,
    owner: owner === null ? null : printable(owner),
    action,
  }
}
