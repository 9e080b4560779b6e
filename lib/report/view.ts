/**
 * The report in words: every text, number and date as it is printed, so that a template only places them. The page and the PDF are
 * made from the same view. All that comes from clusters has gone through `printable`.
 */
import type { BlindSpot, Crypto, Episode } from '../model.ts'
import { calendarMarks, datesOf, durationWords } from './dates.ts'
import { breakable, printable } from './printable.ts'
import { LOOKS, MARKS } from './states.ts'
import { binWords, coverageStrip, pathStrip, stripWords, swatch } from './strip-view.ts'
import type { StripView, Wording } from './strip-view.ts'
import { axisOf } from './strip.ts'
import type { Exposure, PathSummary, Summary } from './summary.ts'
import {
  EMPTY_CELL,
  destinationName,
  endpointName,
  listPieces,
  nameCell,
  number,
  plain,
  plainName,
  stateView,
  table,
  text,
} from './table.ts'
import type { NameView, StateView, TableView } from './table.ts'
import {
  BLIND_SPOT_WORDS,
  byteWords,
  capital,
  CAUSE_WORDS,
  CORROBORATED_WORDS,
  countWords,
  ENDING_WORDS,
  FIXED_UNNAMED,
  ENFORCEMENT_WORDS,
  GAP_WORDS,
  MESHED_WORDS,
  periodWord,
  plural,
  reasonWords,
  shareWords,
  UNMESHED_WORDS,
} from './words.ts'

/** A path that was not encrypted. */
export type EntryView = {
  readonly id: string
  readonly state: StateView
  readonly source: NameView
  readonly destination: NameView
  /** Names the cluster where there is more than one. */
  readonly cluster: string | null
  readonly headline: string
  readonly strip: StripView
  readonly facts: readonly { readonly term: string; readonly lines: readonly string[]; readonly isCode: boolean }[]
}

type SectionView = {
  readonly id: string
  readonly title: string
  readonly paragraphs: readonly string[]
  readonly entries: readonly EntryView[]
  readonly tables: readonly TableView[]
  readonly points: readonly string[]
}

export type ReportView = {
  readonly language: 'en'
  readonly title: string
  readonly label: string
  /** Pairs of what and value that say what the report covers. */
  readonly scope: readonly { readonly term: string; readonly text: string }[]
  readonly replay: string | null
  readonly verdict: string
  readonly notes: readonly string[]
  /** The denominator of the counts. */
  readonly countsOf: string
  readonly counts: readonly { readonly state: StateView; readonly text: string }[]
  readonly sections: readonly SectionView[]
  readonly footer: string
}

/** Error lines longer than this are cut, and say so. */
const LONGEST_LINE = 400

/** A row of a table names as many reasons, so that it fits a page of paper, and counts the rest. */
const MOST_REASONS = 8

/** Words a summary. Equal summaries give equal views, wherever and whenever that is. */
export function viewOf(summary: Summary): ReportView {
  const { period, clusters } = summary
  const dates = datesOf(period)
  const calendar = calendarMarks(period.from, period.to, period.timeZone)
  const axes = new Map(
    clusters.map(({ id, windows }) => {
      const axis = axisOf(windows, period)
      return [id, { axis, marks: calendar.marks.map(({ at, label }) => ({ x: axis.xOf(at), label })) }]
    }),
  )
  const wording: Wording = { dates, summary, axes }
  const label = printable(period.label)
  return {
    language: 'en',
    title: 'Which service-to-service paths were encrypted',
    label,
    scope: [
      { term: 'Period', text: `${dates.full(period.from)} to ${dates.full(period.to)}` },
      { term: 'Times in', text: dates.zone },
      {
        term: plural(clusters.length, 'cluster').replace(/^\d+ /u, '').replace(/^c/u, 'C'),
        text: clusters.map(({ id }) => printable(id)).join(', ') || 'none',
      },
      { term: 'Made by', text: `ciphertrail ${printable(summary.version)}` },
    ],
    replay: summary.replay === null ? null : printable(summary.replay),
    verdict: verdictOf(summary),
    notes: notesOf(summary),
    countsOf: `Of ${plural(summary.knownPaths, 'known path')}:`,
    counts: MARKS.filter((mark) => summary.counts[mark] > 0).map((mark) => ({
      state: stateView(mark),
      text: countWords(summary.counts[mark]),
    })),
    sections: [
      notSeenSection(wording, calendar.unit),
      notEncryptedSection(wording, calendar.unit),
      ...pathSections(wording, calendar.unit),
      workloadsSection(summary),
      cryptoSection(wording),
      methodSection(),
      legendSection(),
    ],
    footer: `ciphertrail ${printable(summary.version)}, ${label}, times in ${printable(period.timeZone)}`,
  }
}

// ---------------------------------------------------------------- the verdict

/** The sentence on top. What was not seen comes first; a cluster of which nothing is known outweighs a good number. */
function verdictOf(summary: Summary): string {
  const { clusters, expectedWindows, collectedWindows, observedPaths, notEncrypted, unknown } = summary
  const span = spanWord(summary)
  if (clusters.length === 0) return 'Nothing was collected in this period: no cluster was asked.'
  const onClusters = `on ${plural(clusters.length, 'cluster')}`
  if (expectedWindows === 0) return `Nothing was collected in this period: no window was expected ${onClusters}.`
  if (collectedWindows === 0)
    return `Nothing was collected in this period: 0 of ${plural(expectedWindows, 'expected window')} ${onClusters}. Which paths were encrypted is not known.`

  const parts: string[] = []
  const part = clusters.filter(({ expected, expectedOnly }) => expected === 0 || expectedOnly !== null)
  if (part.length > 0)
    parts.push(
      `only a part of ${periodWord(summary)} was expected on ${countWords(part.length)} of ${plural(clusters.length, 'cluster')}`,
    )
  const dark = clusters.filter(({ share }) => share === null || share === 0)
  if (dark.length > 0)
    parts.push(
      `nothing was observed on ${countWords(dark.length)} of ${plural(clusters.length, 'cluster')} (${dark.map(({ id }) => printable(id)).join(', ')})`,
    )
  if (collectedWindows < expectedWindows)
    parts.push(
      `${countWords(expectedWindows - collectedWindows)} of ${plural(expectedWindows, 'window')} ${expectedWindows - collectedWindows === 1 ? 'was' : 'were'} not collected`,
    )
  if (summary.share !== null && dark.length < clusters.length)
    parts.push(
      `${shareWords(summary.share)} of ${span} observed on ${countWords(clusters.length - dark.length)} of ${plural(clusters.length, 'cluster')}`,
    )
  parts.push(
    observedPaths === 0
      ? 'no path was observed'
      : `${countWords(notEncrypted.length)} of ${plural(observedPaths, 'observed path')} ${notEncrypted.length === 1 ? 'was' : 'were'} not encrypted by the mesh${unknown.length === 0 ? '' : `, ${countWords(unknown.length)} could not be told`}`,
  )
  // Without a finding, a reader would stop here: the number must not outlive what it is a number of.
  const isWhole = summary.share === 1 && part.length === 0 && collectedWindows === expectedWindows
  if (observedPaths > 0 && notEncrypted.length === 0 && !isWhole)
    parts.push('of what was not observed, nothing is known')
  return `${capital(parts.join('; '))}.`
}

function notesOf(summary: Summary): readonly string[] {
  const { unmeshed, workloads, refused, unseen, clusters } = summary
  const notes: string[] = []
  const unmeasured = clusters.reduce((total, cluster) => total + cluster.unmeasured, 0)
  if (unmeasured > 0)
    notes.push(
      `In ${plural(unmeasured, 'collected window')} it is not known how much there was to see: no meshed pod was listed.`,
    )
  if (unmeshed.length > 0)
    notes.push(
      `${countWords(unmeshed.length)} of ${plural(workloads, 'workload')} ${unmeshed.length === 1 ? 'is' : 'are'} not, not wholly or not surely in the mesh. Traffic between two workloads without a proxy is seen by nobody.`,
    )
  if (unseen.length > 0)
    notes.push(
      `${plural(unseen.length, 'known path')} carried no traffic that was seen in this period: not counted among the observed ones.`,
    )
  if (refused.length > 0)
    notes.push(
      `${plural(refused.length, 'path')} without mesh TLS ${refused.length === 1 ? 'was' : 'were'} tried and refused by policy.`,
    )
  return notes
}

// ---------------------------------------------------------------- what was not seen

function notSeenSection(wording: Wording, unit: string): SectionView {
  const { summary, dates } = wording
  const { clusters } = summary
  const missing = clusters.flatMap(({ missingRuns }) => missingRuns)
  const tables: TableView[] = []

  if (clusters.length > 0)
    tables.push(
      table(
        `Coverage of each cluster. In the strip a bar’s height is the part of pod time that was observed; crossed: not collected; dotted: not known. Lines mark ${unit}.${binWords(wording)}`,
        [
          ['Cluster', 15],
          ['Observed', 10, 'numbers'],
          ['Collected', 12, 'numbers'],
          ['Missing', 8, 'numbers'],
          ['Unreadable', 10, 'numbers'],
          ['Not measured', 11, 'numbers'],
          ['Coverage', 34],
        ],
        clusters.map((cluster) => [
          plain(cluster.id),
          number(cluster.share === null ? 'not known' : shareWords(cluster.share)),
          number(`${countWords(cluster.collected)} of ${countWords(cluster.expected)}`),
          number(countWords(cluster.missing)),
          number(countWords(cluster.failed)),
          number(countWords(cluster.unmeasured)),
          { ...EMPTY_CELL, strip: coverageStrip(wording, cluster) },
        ]),
      ),
    )
  if (missing.length > 0)
    tables.push(
      table(
        'Windows that were not collected, joined where they follow each other.',
        [
          ['Cluster', 15],
          ['When', 35],
          ['Windows', 10, 'numbers'],
          ['Why', 40],
        ],
        missing.map(({ cluster, from, to, windows, isAttempted }) => [
          plain(cluster),
          text(dates.range(from, to)),
          number(countWords(windows)),
          text(
            isAttempted ? 'an attempt was made, but no metrics could be read' : 'no attempt was kept for these windows',
          ),
        ]),
      ),
    )
  for (const cluster of clusters) {
    if (cluster.gaps.length > 0)
      tables.push(
        table(
          `Gaps in collected windows of cluster ${printable(cluster.id)}, the most pod time first.`,
          [
            ['Workload', 28],
            ['Why not seen', 22],
            ['Pod time lost', 11, 'numbers'],
            ['Stretches', 8, 'numbers'],
            ['Between', 21],
            ['Observed', 10, 'numbers'],
          ],
          cluster.gaps.map((gap) => [
            nameCell(endpointName(gap.workload)),
            text(GAP_WORDS[gap.reason]),
            number(durationWords(gap.podSeconds)),
            number(countWords(gap.stretches)),
            text(dates.range(gap.from, gap.to)),
            number(gap.ratio === null ? 'not known' : shareWords(gap.ratio)),
          ]),
        ),
      )
    if (cluster.errors.length > 0)
      tables.push(
        table(
          `What could not be read from cluster ${printable(cluster.id)}.`,
          [
            ['Error', 66],
            ['Windows', 8, 'numbers'],
            ['In windows that end', 26],
          ],
          cluster.errors.map(({ line, windows, first, last }) => [
            plain(errorLine(line)),
            number(countWords(windows)),
            text(first === last ? dates.moment(first) : `${dates.moment(first)} to ${dates.moment(last)}`),
          ]),
        ),
      )
  }
  tables.push(...pathTables(wording, summary.unseen, 'Known paths of which no traffic was seen', unit))
  tables.push(...blindSpotTables(summary))

  const gapless = missing.length === 0 && clusters.every(({ gaps, share }) => gaps.length === 0 && share !== null)
  return section('not-seen', 'What was not seen', {
    paragraphs: [
      clusters.length === 0
        ? 'No cluster was asked, so there is nothing to tell.'
        : `${countWords(summary.collectedWindows)} of ${plural(summary.expectedWindows, 'expected window')} were collected. ${
            summary.share === null
              ? 'How much of the pods’ time was observed is not known.'
              : `Where it is known, ${shareWords(summary.share)} of the time of meshed pods was observed; windows that were not collected count as not observed.`
          }`,
      ...(gapless && clusters.length > 0 && summary.expectedWindows > 0
        ? ['No gap was found in what was expected.']
        : []),
      ...clusters.flatMap(({ id, expectedOnly }) =>
        expectedOnly === null
          ? []
          : [
              `On cluster ${printable(id)} windows were expected only from ${dates.range(expectedOnly.from, expectedOnly.to)}; of the rest of the period nothing is known.`,
            ],
      ),
      ...unmeshedWords(summary),
    ],
    tables,
  })
}

function unmeshedWords({ unmeshed, workloads, clusters, collectedWindows }: Summary): readonly string[] {
  if (clusters.length === 0) return []
  if (workloads === 0)
    return [
      collectedWindows === 0
        ? 'No list of workloads could be read, so blind spots are not known.'
        : 'No workload is known from the Kubernetes API, so blind spots are not known.',
    ]
  if (unmeshed.length === 0) return []
  const parts = (['no', 'partly', 'unknown'] as const).flatMap((meshed) => {
    const count = unmeshed.filter((workload) => workload.meshed === meshed).length
    return count === 0 ? [] : [`${countWords(count)} ${BLIND_WORDS[meshed]}`]
  })
  return [
    `Blind spots by nature: of ${plural(workloads, 'workload')}, ${parts.join(', ')}. They are listed under “Workloads that are not in the mesh”; their traffic is seen only where the other end has a proxy.`,
  ]
}

const BLIND_WORDS = {
  no: 'without a proxy',
  partly: 'with some pods without one',
  unknown: 'for which it is not known',
}

function blindSpotTables({ blind }: Summary): readonly TableView[] {
  // One row for each way in which a workload is not seen, whatever the number of its ports.
  const spots = blind.flatMap((workload) =>
    [...Map.groupBy(workload.blindSpots, ({ kind }) => kind)]
      .filter(([kind]) => kind !== 'unmeshed')
      .map(([kind, own]) => ({ workload, kind, where: spotPlaces(own) })),
  )
  if (spots.length === 0) return []
  return [
    table(
      `Other blind spots: ${plural(spots.length, 'setting')} on ${plural(blind.length, 'workload')} that keep traffic from being seen, or from being named.`,
      [
        ['Workload', 30],
        ['Cluster', 15],
        ['What is not seen', 35],
        ['Where', 20],
      ],
      spots.map(({ workload, kind, where }) => [
        nameCell(endpointName(workload)),
        plain(workload.cluster),
        text(BLIND_SPOT_WORDS[kind]),
        text(where),
      ]),
    ),
  ]
}

/** The ports of a blind spot; where it has none, what it says of itself. */
function spotPlaces(spots: readonly BlindSpot[]): string {
  const ports = [...new Set(spots.flatMap(({ port }) => port ?? []))]
  if (ports.length > 0) return printable(`${ports.length === 1 ? 'port' : 'ports'} ${ports.join(', ')}`)
  return printable([...new Set(spots.map(({ detail }) => detail))].filter(Boolean).join('; ')) || 'everywhere'
}

function errorLine(line: string): string {
  const shown = printable(line)
  return shown.length <= LONGEST_LINE
    ? shown
    : `${shown.slice(0, LONGEST_LINE)}… (${countWords(shown.length - LONGEST_LINE)} more characters)`
}

// ---------------------------------------------------------------- what was not encrypted

function notEncryptedSection(wording: Wording, unit: string): SectionView {
  const { summary } = wording
  const { notEncrypted, observedPaths, collectedWindows } = summary
  const open = notEncrypted.filter(({ isOpen }) => isOpen).length
  return section('not-encrypted', 'What was not encrypted', {
    paragraphs:
      collectedWindows === 0
        ? ['Nothing was collected, so nothing can be said about any path.']
        : observedPaths === 0
          ? ['No path was observed, so nothing can be said about any path.']
          : notEncrypted.length === 0
            ? [
                `None of the ${plural(observedPaths, 'observed path')} was seen without encryption. This says nothing about what was not seen.`,
              ]
            : [
                `${countWords(notEncrypted.length)} of ${plural(observedPaths, 'observed path')}: ${countWords(open)} still so at the end of the period. Lines in the strips mark ${unit}.${binWords(wording)}`,
              ],
    entries: notEncrypted.map((path) => entryOf(wording, path)),
  })
}

function entryOf(wording: Wording, path: Exposure): EntryView {
  return {
    id: `path-${path.pathId}`,
    state: stateView(path.mark),
    source: endpointName(path.source),
    destination: destinationName(path),
    cluster: clusterNote(wording.summary, path.cluster),
    headline: headlineOf(wording, path),
    strip: pathStrip(wording, path, true),
    facts: [
      ...path.reasons.flatMap(({ reason, cause, fix }) => [
        fact('Reason', [printable(reasonWords(reason))]),
        ...(cause === null ? [] : [fact('Cause', [CAUSE_WORDS[cause]])]),
        ...(fix === null ? [] : [{ ...fact('Fix', fix.split('\n').map(printable)), isCode: true }]),
      ]),
      fact('Windows', [path.isOpen || path.exposedWindows > 0 ? stripWords(path) : 'not seen in this period']),
      fact(path.mark === 'plaintext' ? 'In the clear' : 'Without mesh TLS', [
        path.clearShare === null
          ? `no bytes were counted; ${plural(path.opens, 'connection')} opened in the period`
          : `${shareWords(path.clearShare)} of ${byteWords(path.bytes)}; ${plural(path.opens, 'connection')} opened in the period, encrypted ones included`,
      ]),
      fact('Policy', [ENFORCEMENT_WORDS[path.enforcement]]),
      fact('Seen by', [CORROBORATED_WORDS[path.corroborated]]),
      ...(path.candidates.length === 0 ? [] : [fact('Source may be', path.candidates.map(plainName))]),
      ...identityFacts(path),
      ...episodeFacts(wording, path),
    ],
  }
}

function headlineOf({ dates, summary }: Wording, path: Exposure): string {
  const end = summary.period.to
  const lasted = (from: string, to: string): string => durationWords((Date.parse(to) - Date.parse(from)) / 1000)
  const current = path.episodes.at(-1)
  if (current === undefined)
    return `not encrypted in windows from ${dates.moment(path.first)} to ${dates.moment(path.last)}; since when is not known`
  if (current.endedAt === null) {
    const since = path.isSinceUnknown
      ? `not encrypted since an unknown time; first seen ${dates.moment(path.since)}, at least ${lasted(path.since, end)}`
      : `not encrypted since ${dates.moment(path.since)} (${lasted(path.since, end)})`
    return `${since}; not ended at the end of the period`
  }
  const how = current.ending === null ? 'ended' : endingWords(current.ending, path)
  const from = path.isSinceUnknown ? `an unknown time before ${dates.moment(path.since)}` : dates.moment(path.since)
  return `not encrypted from ${from} to ${dates.moment(current.endedAt)} (${path.isSinceUnknown ? 'at least ' : ''}${lasted(path.since, current.endedAt)}); ${how}`
}

/** A client without a name is never seen encrypted: its episode ends with a window in which nobody came in the clear. */
function endingWords(ending: NonNullable<Episode['ending']>, { source }: Pick<PathSummary, 'source'>): string {
  return ending === 'fixed' && source.kind === 'unmeshed' ? FIXED_UNNAMED : ENDING_WORDS[ending]
}

function episodeFacts({ dates }: Wording, path: Exposure): readonly EntryView['facts'][number][] {
  if (path.episodes.length < 2) return []
  return [
    fact(
      'Episodes',
      path.episodes.map(({ openedAt, endedAt, ending, sinceUnknown }) =>
        [
          sinceUnknown ? `before ${dates.moment(openedAt)}` : dates.moment(openedAt),
          endedAt === null ? 'not ended' : `to ${dates.moment(endedAt)}`,
          ...(ending === null ? [] : [endingWords(ending, path)]),
        ].join(', '),
      ),
    ),
  ]
}

function identityFacts({ source, destination }: PathSummary): readonly EntryView['facts'][number][] {
  const known = [
    ...(source.serviceAccount === null ? [] : [`source ${printable(source.serviceAccount)}`]),
    ...(destination.serviceAccount === null ? [] : [`destination ${printable(destination.serviceAccount)}`]),
  ]
  return known.length === 0 ? [] : [fact('ServiceAccounts', [known.join(', ')])]
}

const fact = (term: string, lines: readonly string[]): EntryView['facts'][number] => ({ term, lines, isCode: false })

// ---------------------------------------------------------------- all other paths

function pathSections(wording: Wording, unit: string): readonly SectionView[] {
  const { summary } = wording
  const denominator = `of ${plural(summary.knownPaths, 'known path')}`
  const of = (
    id: string,
    title: string,
    paths: readonly PathSummary[],
    explained: string,
    caption: string,
    none: string,
  ): SectionView =>
    section(id, title, {
      paragraphs: paths.length === 0 ? [none] : [`${countWords(paths.length)} ${denominator}. ${explained}`],
      tables: pathTables(wording, paths, caption, unit),
    })
  const nothing = summary.collectedWindows === 0 ? 'Nothing was collected, so nothing can be said.' : undefined
  return [
    of(
      'unknown',
      'What could not be told',
      summary.unknown,
      'Traffic was seen, but what was seen does not say whether it was encrypted. Unknown is not a pass.',
      'Paths with unknown windows and none that is known to be clear',
      nothing ?? 'No observed path was left unknown.',
    ),
    of(
      'refused',
      'What policy refused',
      summary.refused,
      'Tried without mesh TLS and turned away: evidence that policy works there, not that plain text was delivered. Not scored.',
      'Paths that were refused',
      nothing ?? 'No path was seen to be refused only.',
    ),
    of(
      'exempt',
      'What is exempt',
      summary.exempt,
      'Kubelet probes, connections without payload and the proxies’ own ports. Not scored.',
      'Paths that are exempt',
      nothing ?? 'No path was seen that is exempt only.',
    ),
    of(
      'encrypted',
      'All other paths',
      summary.encrypted,
      'Seen, and encrypted in every window in which they were seen. Windows that were not observed or not collected prove nothing.',
      'Paths that were seen encrypted',
      nothing ?? 'No path was seen that was encrypted in every window in which it was seen.',
    ),
  ]
}

function pathTables(
  wording: Wording,
  paths: readonly PathSummary[],
  caption: string,
  unit: string,
): readonly TableView[] {
  return wording.summary.clusters.flatMap(({ id }) => {
    const own = paths.filter(({ cluster }) => cluster === id)
    if (own.length === 0) return []
    return [
      table(
        `${caption}, cluster ${printable(id)}. Lines in the strips mark ${unit}.`,
        [
          ['State', 15],
          ['Source', 19],
          ['Destination', 21],
          ['What is known', 20],
          ['Windows', 25],
        ],
        own.map((path) => [
          { ...EMPTY_CELL, state: stateView(path.mark) },
          nameCell(endpointName(path.source)),
          nameCell(destinationName(path)),
          { ...EMPTY_CELL, lines: knownWords(path) },
          { ...EMPTY_CELL, strip: pathStrip(wording, path, false), lines: [stripWords(path)] },
        ]),
      ),
    ]
  })
}

function knownWords(path: PathSummary): readonly string[] {
  const isSeen = path.observedWindows > 0
  const reasons = path.reasons.filter(({ reason }) => reason !== '')
  return [
    ...reasons.slice(0, MOST_REASONS).map(({ reason }) => printable(reasonWords(reason))),
    ...(reasons.length > MOST_REASONS ? [`and ${plural(reasons.length - MOST_REASONS, 'more reason')}`] : []),
    ...(isSeen ? [`${plural(path.opens, 'connection')}, ${byteWords(path.bytes)}`] : []),
    ...(isSeen && path.mark !== 'exempt' && path.mark !== 'refused' ? [CORROBORATED_WORDS[path.corroborated]] : []),
    ...(path.windows.refused > 0 && path.mark !== 'refused'
      ? [`also refused by policy in ${plural(path.windows.refused, 'window')}`]
      : []),
    ...(isSeen
      ? []
      : [
          path.mark === 'not-observed'
            ? 'no traffic in any collected window'
            : 'no window was collected since it is known',
        ]),
  ]
}

// ---------------------------------------------------------------- workloads, crypto, method, legend

function workloadsSection({ unmeshed, workloads, collectedWindows }: Summary): SectionView {
  return section('workloads', 'Workloads that are not in the mesh', {
    paragraphs:
      workloads === 0
        ? [
            collectedWindows === 0
              ? 'Nothing was collected, so no workload is known.'
              : 'No list of workloads could be read, so none is known.',
          ]
        : unmeshed.length === 0
          ? [`All ${plural(workloads, 'listed workload')} had a proxy in the latest window in which they were listed.`]
          : [
              `${countWords(unmeshed.length)} of ${plural(workloads, 'workload')}, as the Kubernetes API described them for the latest window in which it could be read.`,
            ],
    tables:
      unmeshed.length === 0
        ? []
        : [
            table(
              'Workloads that are not, not wholly or not surely in the mesh.',
              [
                ['Workload', 28],
                ['Cluster', 15],
                ['In the mesh', 14],
                ['Why', 22],
                ['Pods', 6, 'numbers'],
                ['ServiceAccount', 17],
              ],
              unmeshed.map((workload) => [
                nameCell(endpointName(workload)),
                plain(workload.cluster),
                text(MESHED_WORDS[workload.meshed]),
                text(workload.reason === null ? 'not known' : UNMESHED_WORDS[workload.reason]),
                number(countWords(workload.pods)),
                workload.serviceAccount === null ? text('not known') : plain(workload.serviceAccount),
              ]),
            ),
          ],
  })
}

function cryptoSection(wording: Wording): SectionView {
  const { clusters } = wording.summary
  const known = clusters.filter(({ crypto }) => crypto !== null)
  const silent = clusters.filter(({ crypto }) => crypto === null)
  return section('crypto', 'Cryptography, as the proxies state it', {
    paragraphs: [
      'As the running proxies state it; what was negotiated on a connection is not in any metric.',
      ...(silent.length === 0
        ? []
        : [`No proxy could be asked on ${silent.map(({ id }) => `cluster ${printable(id)}`).join(', ')}.`]),
    ],
    tables: known.flatMap(({ id, crypto }) => (crypto === null ? [] : cryptoTables(wording, id, crypto))),
  })
}

function cryptoTables({ dates, summary }: Wording, id: string, crypto: Crypto): readonly TableView[] {
  const cluster = printable(id)
  const until = (time: string): string =>
    `${dates.full(time)}${Date.parse(time) <= Date.parse(summary.period.to) ? ' (before the end of the period)' : ''}`
  return [
    table(
      `Versions of running proxies, cluster ${cluster}.`,
      [
        ['Proxy version', 90],
        ['Proxies', 10, 'numbers'],
      ],
      crypto.proxyVersions.map(({ version, proxies }) => [plain(version), number(countWords(proxies))]),
    ),
    table(
      `TLS settings of running proxies, cluster ${cluster}.`,
      [
        ['Key exchange', 28],
        ['Suites', 45],
        ['FIPS', 15],
        ['Proxies', 12, 'numbers'],
      ],
      crypto.tls.map(({ suites, keyExchange, fips, proxies }) => [
        nameCell({ kind: '', pieces: listPieces(keyExchange) }),
        nameCell({ kind: '', pieces: listPieces(suites) }),
        plain(fips),
        number(countWords(proxies)),
      ]),
    ),
    table(
      `Certificates and trust anchors, cluster ${cluster}.`,
      [
        ['What', 26],
        ['Valid from', 16],
        ['Valid to', 26],
        ['SHA-256', 32],
      ],
      [
        [
          text('proxy certificates'),
          text('not stated'),
          text(
            crypto.certificates === null
              ? 'no proxy stated it'
              : `${until(crypto.certificates.earliestExpiry)} the first, ${until(crypto.certificates.latestExpiry)} the last of ${plural(crypto.certificates.proxies, 'proxy', 'proxies')}`,
          ),
          text('not stated'),
        ],
        ...crypto.trustAnchors.map(({ subject, sha256, notBefore, notAfter }) => [
          nameCell({ kind: 'trust anchor', pieces: breakable(printable(subject)) }),
          text(dates.full(notBefore)),
          text(until(notAfter)),
          plain(sha256),
        ]),
      ],
    ),
  ].filter(({ rows }) => rows.length > 0)
}

function methodSection(): SectionView {
  return section('method', 'Method and limits', {
    points: [
      'Sources: the metrics of the Linkerd proxies, read from Prometheus, and the lists of the Kubernetes API. No payload is read. What proxies say is believed: a pod that lies by its labels only lowers what is said of it, a proxy that was replaced could lie in full.',
      'This report says what was seen and what was not. It does not say that anybody complies with anything. That the evidence behind it was not changed by somebody who can write to the store is not proved yet.',
      'Time is tiled into windows, open at the start and closed at the end. A connection belongs to the window that holds the first scrape after it; what had no mesh TLS is decided from raw samples, sample by sample, so that a connection between two looks still counts.',
      'Both sides of a path are read. A path in a window takes the worst of what they say; a path in the period counts as the worst of its windows.',
      'Observed is a share of pod time: the time between successful scrapes of meshed pods, over their time of life. A window that was not collected counts as not observed, with as much pod time as the average of the others.',
      'Percentages are cut, not rounded. A share that is not known is printed as not known, never as a number.',
      'Not seen by any proxy: traffic between two workloads without one, UDP, ports and subnets kept out of both proxies, and what a proxy did after its last scrape.',
      '“No mesh TLS” says that the mesh did not encrypt; an application may have done so itself. An unnamed source, (unmeshed), is a client that showed no mesh identity.',
      'A gap ends nothing: a path that was not encrypted before a gap stays so until it is seen otherwise.',
    ],
  })
}

function legendSection(): SectionView {
  return section('legend', 'How to read the states', {
    tables: [
      table(
        'Each state has a word, a shape and a colour. In a cell that stands for several windows the one that is higher in this table is shown.',
        [
          ['State', 18],
          ['In a strip', 14],
          ['Meaning', 68],
        ],
        MARKS.map((mark) => [
          { ...EMPTY_CELL, state: stateView(mark) },
          { ...EMPTY_CELL, strip: swatch(mark) },
          text(LOOKS[mark].meaning),
        ]),
      ),
    ],
  })
}

// ---------------------------------------------------------------- wording

function section(
  id: string,
  title: string,
  parts: Partial<Pick<SectionView, 'paragraphs' | 'entries' | 'tables' | 'points'>>,
): SectionView {
  return { id, title, paragraphs: [], entries: [], tables: [], points: [], ...parts }
}

function clusterNote({ clusters }: Summary, id: string): string | null {
  return clusters.length > 1 ? `cluster ${printable(id)}` : null
}

/** What a share of observed time is a share of. */
const spanWord = (summary: Summary): string =>
  summary.clusters.every(({ expected, expectedOnly }) => expected > 0 && expectedOnly === null)
    ? periodWord(summary)
    : 'the expected time'
