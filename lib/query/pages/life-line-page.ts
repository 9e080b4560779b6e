/** A path's life line: since when, why, what would fix it, each episode, and the evidence behind it. */
import type { PathRow } from '../../model/history.ts'
import type { GapReason } from '../../model/window.ts'
import { pathStrip, binWords, stripWords } from '../../report/drawing/strip-drawing.ts'
import { endWords, lastedWords } from '../../report/sections/episodes.ts'
import { beganWords } from '../../report/words/format-episode.ts'
import { seenAs } from '../../assess/judge/seen-as.ts'
import { lastSeen, pathKey } from '../../report/summary/path-summary.ts'
import { sum } from '../../report/summary/sums.ts'
import type { Exposure, PathSummary } from '../../report/summary/path-summary.ts'
import {
  type TableView,
  destinationName,
  endpointName,
  lines,
  number,
  plain,
  plainName,
  stateCell,
  stateView,
  table,
  textCell,
} from '../../report/table-cells.ts'
import { type Wording, wordingOf } from '../../report/words/report-context.ts'
import {
  CAUSE_WORDS,
  CLASS_WORDS,
  CORROBORATED_WORDS,
  ENFORCEMENT_WORDS,
  GAP_WORDS,
  byteWords,
  capital,
  countWords,
  plural,
  reasonWords,
} from '../../report/words/vocabulary.ts'
import { readPrintedHead } from '../../seal/printed-head.ts'
import { indexKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { breakable, printable } from '../../text/printable.ts'
import { durationWords } from '../../time/dates.ts'
import { ProblemError } from '../problem.ts'
import { statusLine } from './frame.ts'
import { type ListedPath, isListedOpen, listedPaths } from './listed-paths.ts'
import type { MakePage } from './page.ts'
import { SPANS, hrefOf } from './page-query.ts'
import { periodChoices, presentMark, unencryptedWords } from './paths-page.ts'

/** A table shows as many rows. */
const MAX_ROWS = 60

/** So many attempts are named. */
const MAX_EVIDENCE = 6

/** Makes the page of one path. */
export const lifeLinePage: MakePage = async ({ query, grant, names }, { history, objects }) => {
  const { cluster = '', pathId = '' } = names
  const { summary, rows: all } = await history.overTime({
    grant,
    cluster,
    at: query.at,
    days: SPANS[query.period].days,
  })
  const listed = listedPaths(summary, { class: 'all', namespace: null, workload: null })
  const found = listed.find(({ path }) => path.pathId === pathId)
  if (found === undefined)
    throw new ProblemError(
      'not-found',
      `Cannot find this path: none of that id was seen in the last ${SPANS[query.period].words}; look at a longer period`,
    )
  const { path, exposure } = found
  const wording = wordingOf(summary, { isPage: true })
  const rows = all.filter((row) => row.pathId === pathId).toSorted((a, b) => Date.parse(b.from) - Date.parse(a.from))
  const place = `/paths/${encodeURIComponent(cluster)}/${encodeURIComponent(pathId)}`
  const own = summary.episodes.all
    .concat(summary.others.flatMap(({ episodes }) => episodes))
    .filter((one) => one.pathId === pathId)
    .toSorted((a, b) => Date.parse(b.episode.openedAt) - Date.parse(a.episode.openedAt))
  return {
    title: `${plainName(path.source)} to ${plainName(path.destination)}:${path.port}`,
    template: 'life-line',
    replay: summary.replay,
    standing: statusLine(summary),
    view: {
      source: endpointName(path.source),
      destination: destinationName(path),
      state: stateView(isListedOpen(found) ? presentMark(found) : (lastSeen(path) ?? presentMark(found))),
      words: headWords(wording, found, query.past),
      periods: { title: 'Period', choices: periodChoices(place, query) },
      strip: pathStrip(wording, path, true),
      stripWords: `${capital(stripWords(path))}. Lines mark ${wording.unit}.${binWords(wording)}`,
      told: toldOf(wording, path, exposure, rows),
      episodes: own.length === 0 ? null : episodeTable(wording, own),
      noEpisodes: `No window of this period was seen unencrypted. This says nothing about what was not seen.`,
      intervals: intervalTable(wording, rows),
      ...(await evidenceOf(evidenceKeys(rows), objects)),
      api: `/v1/paths?${new URLSearchParams({
        cluster,
        from: summary.period.from,
        to: summary.period.to,
        ...(path.destination.namespace === '' ? {} : { namespace: path.destination.namespace }),
        ...(path.destination.name === '' ? {} : { workload: `${path.destination.kind}/${path.destination.name}` }),
      }).toString()}`,
      pathsHref: hrefOf('/paths', {
        at: query.past,
        cluster,
        class: 'all',
        namespace: path.destination.namespace,
        workload: path.destination.name === '' ? null : `${path.destination.kind}/${path.destination.name}`,
      }),
    },
  }
}

function headWords(wording: Wording, listed: ListedPath, past: string | null): string {
  const { path, exposure, openUnseen } = listed
  const now = past === null ? 'now' : 'then'
  const owner = printable(wording.summary.owners.get(pathKey(path)) ?? '')
  const words = unencryptedWords(wording, listed)
  const isSeen = lastSeen(path) !== undefined
  const what =
    words === null
      ? `${isSeen ? 'when seen last' : 'in the whole period'}; no window of this period was seen unencrypted`
      : openUnseen !== null
        ? `${now}; ${words}`
        : exposure?.isOpen === true
          ? `${now}, unencrypted ${words}`
          : `when seen last; unencrypted ${words}`
  return `${what}. Owner ${owner}.`
}

type Told = { readonly term: string; readonly lines: readonly string[]; readonly code: readonly string[] }

function toldOf(
  { summary, dates }: Wording,
  path: PathSummary,
  exposure: Exposure | null,
  rows: readonly PathRow[],
): readonly Told[] {
  const told = (term: string, own: readonly string[], code: readonly string[] = []): Told[] =>
    own.length === 0 && code.length === 0 ? [] : [{ term, lines: own, code }]
  const { reasons, candidates, source, destination } = path
  const latest = rows.find(({ state }) => state !== 'not-observed' && state !== 'not-collected')
  const waivers = new Map(summary.judgement.waivers.map(({ waiver }) => [waiver.id, waiver]))
  const accepted = [...new Set((exposure?.failures ?? []).flatMap(({ waiver }) => waiver ?? []))]
  const causes = [...new Set(reasons.flatMap(({ cause }) => (cause === null ? [] : [CAUSE_WORDS[cause]])))]
  const fixes = [...new Set(reasons.flatMap(({ fix }) => fix ?? []))]
  return [
    ...told(
      'Reason',
      reasons.flatMap(({ reason }) => (reason === '' ? [] : [capital(printable(reasonWords(reason)))])),
    ),
    ...told('Cause', causes.map(capital)),
    ...told('Fix', [], fixes.flatMap((fix) => fix.split('\n')).map(printable)),
    ...told('Policy', [capital(ENFORCEMENT_WORDS[latest?.enforcement ?? path.enforcement])]),
    ...told(
      'Seen by',
      latest === undefined ? ['Nobody in this period'] : [capital(CORROBORATED_WORDS[latest.corroborated])],
    ),
    ...told('Source may be', candidates.length === 0 ? [] : [candidates.map(plainName).join(', ')]),
    ...told(
      'ServiceAccounts',
      [
        ...(source.serviceAccount === null ? [] : [`source ${printable(source.serviceAccount)}`]),
        ...(destination.serviceAccount === null ? [] : [`destination ${printable(destination.serviceAccount)}`]),
      ].slice(0, 2),
    ),
    ...told('Traffic', trafficLines(rows)),
    ...told(
      'Waiver',
      accepted.flatMap((id) => {
        const waiver = waivers.get(id)
        if (waiver === undefined) return []
        return [
          `${printable(waiver.id)}, until ${dates.full(waiver.expires)}, owner ${printable(waiver.owner)}: ${printable(waiver.reason)}`,
          `Compensating control: ${printable(waiver.compensatingControl)}. A waived path stays counted as unencrypted.`,
        ]
      }),
    ),
    ...told('Whose path', [
      `${capital(CLASS_WORDS[path.class])}${summary.settings.judgedClasses.includes(path.class) ? '' : ': listed, not judged'}; cluster ${printable(path.cluster)}`,
    ]),
  ]
}

/** What moved in the period. Of a stretch that began before it the months keep the sum of the whole stretch only. */
function trafficLines(rows: readonly PathRow[]): readonly string[] {
  const isPart = rows.some(({ bytes }) => bytes === null)
  const bytes = sum(rows, (row) => row.bytes ?? 0)
  const clear = sum(rows, (row) => (row.clearShare ?? 0) * (row.bytes ?? 0))
  return [
    `${isPart ? 'At least ' : ''}${plural(
      sum(rows, ({ opens }) => opens ?? 0),
      'connection',
    )} and ${byteWords(bytes)} in the period${isPart ? '; what moved in stretches that go beyond it is not counted' : ''}`,
    ...(clear === 0 ? [] : [`${byteWords(clear)} unencrypted`]),
  ]
}

function episodeTable(wording: Wording, episodes: Wording['summary']['episodes']['all']): TableView {
  return table(
    'Runs of windows in which this path was not encrypted, latest first. A gap ends none; quiet means no traffic for seven days, not fixed.',
    [
      ['Began', 28],
      ['Ended', 50],
      ['Lasted', 22, 'numbers'],
    ],
    episodes
      .slice(0, MAX_ROWS)
      .map((one) => [
        textCell(beganWords(one.episode, wording.dates)),
        lines(endWords(wording, one)),
        number(lastedWords(wording, one)),
      ]),
  )
}

/** Rows are cut where months end: what goes on is one stretch to a reader. Latest first, as given. */
function joined(rows: readonly PathRow[]): PathRow[] {
  const stretches: PathRow[] = []
  for (const row of rows) {
    const later = stretches.at(-1)
    if (later === undefined || later.from !== row.to || !isAlike(later, row)) stretches.push(row)
    else
      stretches[stretches.length - 1] = {
        ...later,
        from: row.from,
        opens: later.opens === null || row.opens === null ? null : later.opens + row.opens,
        bytes: later.bytes === null || row.bytes === null ? null : later.bytes + row.bytes,
      }
  }
  return stretches
}

function isAlike(a: PathRow, b: PathRow): boolean {
  return (
    a.state === b.state &&
    a.outcome === b.outcome &&
    a.reason === b.reason &&
    a.cause === b.cause &&
    a.enforcement === b.enforcement
  )
}

/** Why a stretch is as it is; of windows that were not collected, why not. */
function whyWords({ reason }: PathRow): string {
  if (reason === '') return '–'
  const gap = Object.hasOwn(GAP_WORDS, reason) ? GAP_WORDS[reason as GapReason] : undefined
  return capital(gap ?? printable(reasonWords(reason)))
}

function intervalTable({ dates }: Wording, all: readonly PathRow[]): TableView {
  const rows = joined(all)
  const shown = rows.slice(0, MAX_ROWS)
  const left = rows.length - shown.length
  return table(
    `Stretches of equal state, reason, cause and policy.${left > 0 ? ` The latest ${countWords(shown.length)} of ${countWords(rows.length)} are shown; the API has all.` : ''}`,
    [
      ['From, to', 26],
      ['State', 15],
      ['Why', 39],
      ['Traffic', 20, 'numbers'],
    ],
    shown.map((row) => [
      {
        ...textCell(dates.range(row.from, row.to)),
        notes: [durationWords((Date.parse(row.to) - Date.parse(row.from)) / 1000)],
      },
      stateCell(stateView(seenAs(row))),
      {
        ...plain(''),
        names: [],
        lines: [whyWords(row)],
        notes: row.cause === null || row.cause === 'unknown' ? [] : [`Cause: ${CAUSE_WORDS[row.cause]}`],
      },
      row.state === 'not-collected'
        ? number('unknown')
        : row.bytes === null || row.opens === null
          ? number('not counted')
          : {
              ...number(row.opens === 0 && row.bytes === 0 ? 'none seen' : byteWords(row.bytes)),
              notes: row.opens === 0 ? [] : [plural(row.opens, 'connection')],
            },
    ]),
  )
}

/** The attempts behind the ends of what was seen last, latest first. */
function evidenceKeys(rows: readonly PathRow[]): readonly string[] {
  return [...new Set(rows.flatMap(({ evidence }) => evidence.toReversed()))].slice(0, MAX_EVIDENCE)
}

/** A snapshot, and where it and the proof that the log holds it can be downloaded; `proof` is empty where there is none yet. */
type EvidenceView = {
  readonly pieces: readonly string[]
  readonly href: string
  readonly leaf: string
  readonly proof: string
}

async function evidenceOf(
  keys: readonly string[],
  objects: Objects,
): Promise<{
  readonly evidenceWords: readonly string[]
  readonly evidence: readonly EvidenceView[]
  readonly proof: string
}> {
  const head = await readPrintedHead(keys, objects)
  const leaves = await Promise.all(
    keys.map(async (key) => {
      const stored = await objects.get(indexKey(key))
      const leaf = stored === undefined ? NaN : Number(Buffer.from(stored.body).toString())
      return { key, leaf: head !== null && leaf < head.size ? leaf : null }
    }),
  )
  const proved = leaves.find(({ leaf }) => leaf !== null)
  return {
    evidenceWords: [
      keys.length === 0
        ? 'No window of this period was collected, so there is no evidence.'
        : 'The snapshots at the ends of the latest stretches; each is stored once and never changed.',
      head === null
        ? 'Not sealed: no signed checkpoint proves that the evidence is unchanged.'
        : `Sealed in the log ${printable(head.origin)}, ${plural(head.size, 'leaf', 'leaves')}, root ${printable(head.root)}.`,
    ],
    evidence: leaves.map(({ key, leaf }) => ({
      pieces: breakable(printable(key)),
      href: `/v1/${key}`,
      leaf: leaf === null ? 'not sealed' : `leaf ${countWords(leaf)}`,
      proof: leaf === null ? '' : `/v1/${key}/proof`,
    })),
    proof:
      proved === undefined
        ? ''
        : `ciphertrail log show --proof ${proved.key} --out leaf-${proved.leaf ?? 0}.tlog-proof`,
  }
}
