/** Paths as a table, each once, what asks for attention first. */
import { beganOf, beganWords } from '../lib/report/words/format-episode.ts'
import type { Episode } from '../lib/model/history.ts'
import { endName } from '../lib/assess/judge/waived.ts'
import type { StateFilter } from '../lib/model/path.ts'
import { LOOKS } from '../lib/report/drawing/state-looks.ts'
import type { Mark } from '../lib/report/drawing/state-looks.ts'
import type { Exposure, PathSummary } from '../lib/report/summary/path-summary.ts'
import { byName, isClear, lastSeen, pathKey } from '../lib/report/summary/path-summary.ts'
import { openEpisodes } from '../lib/report/summary/episode-summary.ts'
import type { Standing } from '../lib/report/summary/standing.ts'
import type { Summary } from '../lib/report/summary/summary.ts'
import { CLASS_WORDS, countWords, plural, seenShareWords } from '../lib/report/words/vocabulary.ts'
import { datesOf } from '../lib/time/dates.ts'
import type { Console } from './console.ts'
import { type TerminalColumn, tableLines, tableWidth } from './terminal-table.ts'

/** Which paths are wanted; absent: all. */
export type PathFilter = {
  readonly namespace?: string | undefined
  readonly state?: StateFilter | undefined
}

/** How many of the latest windows a strip shows. */
const STRIP_CELLS = 16

/** A path at the end of a period: what is shown of it, without the rest of its summary, since a fleet has many. */
export type PathNow = Pick<
  PathSummary,
  'cluster' | 'pathId' | 'class' | 'source' | 'destination' | 'port' | 'verdict'
> & {
  readonly state: Mark
  /** It is not encrypted at the end, or was not when it was last seen. */
  readonly isOpen: boolean
  /** It was not encrypted at some time of the period. */
  readonly isExposed: boolean
  /** Since when or until when it is not encrypted; `-` if it was encrypted whenever seen. */
  readonly since: string
  /** Of its life, 0 to 1; null if unknown. */
  readonly seen: number | null
  readonly strip: string
  /** Id of the waiver that accepts it; null for none. */
  readonly waiver: string | null
}

/** Returns the paths of a summary as they are at the end of its period. */
export function pathsNow(summary: Summary): readonly PathNow[] {
  const exposures = new Map(
    [...summary.notEncrypted, ...summary.others.flatMap(({ notEncrypted }) => notEncrypted)].map((path) => [
      pathKey(path),
      path,
    ]),
  )
  const open = openEpisodes([summary.episodes.all, ...summary.others.map(({ episodes }) => episodes)].flat())
  const { moment } = datesOf(summary.period)
  return summary.paths.map((path): PathNow => {
    const exposure = exposures.get(pathKey(path))
    const episode = open.get(pathKey(path))
    const { cluster, pathId, source, destination, port, verdict } = path
    return {
      cluster,
      pathId,
      class: path.class,
      source,
      destination,
      port,
      verdict,
      state: stateNow(path, exposure),
      isOpen: exposure?.isOpen === true || episode !== undefined,
      isExposed: exposure !== undefined,
      since: sinceText(exposure, episode, moment),
      seen: path.seen?.share ?? null,
      strip: path.cells
        .slice(-STRIP_CELLS)
        .map((cell) => (cell === null ? ' ' : LOOKS[cell].shape))
        .join(''),
      waiver: path.failures.find(({ rule, waiver }) => rule === 'path-is-encrypted' && waiver !== null)?.waiver ?? null,
    }
  })
}

/** Lines of a table for each class, applications first. */
export function pathLines(
  paths: readonly PathNow[],
  standing: Pick<Standing, 'clusters' | 'actions' | 'settings' | 'others'>,
  console: Pick<Console, 'colors' | 'width'>,
): string[] {
  const width = tableWidth(console)
  const actions = new Map(
    standing.actions.flatMap(({ number, paths: ended }) => ended.map((path) => [pathKey(path), number] as const)),
  )
  const tableOf = (own: readonly PathNow[]): readonly string[] =>
    own.length === 0
      ? []
      : tableLines(
          own.map((path): Row => ({ ...path, action: actions.get(pathKey(path)) ?? null })).toSorted(byAttention),
          columns(standing.clusters.length > 1, console.colors),
          width,
        )
  const { judgedClasses } = standing.settings
  const judged = tableOf(paths.filter(({ class: of }) => judgedClasses.includes(of)))
  return [
    ...judged,
    ...standing.others.flatMap(({ class: of, known }) => {
      const own = paths.filter((path) => path.class === of)
      if (own.length === 0) return []
      const part = own.length === known ? '' : `${countWords(own.length)} of `
      const heading = `${part}${plural(known, 'path')} of ${CLASS_WORDS[of]}, not judged:`
      return [...(judged.length === 0 ? [] : ['']), heading, ...tableOf(own)]
    }),
  ]
}

/** With the number of the action that ends it; null for none. */
type Row = PathNow & { readonly action: number | null }

/** Whether a path is asked for. */
export function isWantedPath(path: PathNow, { namespace, state }: PathFilter): boolean {
  if (namespace !== undefined && ![path.source, path.destination].some((end) => end.namespace === namespace))
    return false
  if (state === undefined) return true
  return state === 'not-encrypted' ? path.isExposed || path.isOpen : path.state === state
}

/** What a path is at the end: open episodes first, else what was seen last. */
function stateNow(path: PathSummary, exposure: Exposure | undefined): Mark {
  if (exposure?.isOpen === true) return exposure.mark
  return lastSeen(path) ?? path.mark
}

/** The number of the action, then what was not encrypted, then what lacks evidence, then by name. */
function byAttention(a: Row, b: Row): number {
  const rank = ({ verdict, isOpen, isExposed, action }: Row) =>
    isOpen ? (action === null ? 1 : 0) : isExposed ? 2 : verdict === 'not-enough-evidence' ? 3 : 4
  return rank(a) - rank(b) || (a.action ?? 0) - (b.action ?? 0) || byName(a, b)
}

function columns(hasClusters: boolean, colors: Console['colors']): TerminalColumn<Row>[] {
  return [
    ...(hasClusters ? [{ heading: 'CLUSTER', isMain: true as const, text: ({ cluster }: Row) => cluster }] : []),
    {
      heading: 'LAST STATE',
      isMain: true,
      text: ({ state }) => `${LOOKS[state].shape} ${state}`,
      color: (text, { state }) =>
        isClear(state) ? colors.red(text) : state === 'unknown' ? colors.yellow(text) : text,
    },
    { heading: 'SOURCE', isMain: true, text: ({ source }) => endName(source) },
    { heading: 'DESTINATION', isMain: true, text: ({ destination, port }) => `${endName(destination)}:${port}` },
    { heading: 'NOT ENCRYPTED', text: ({ since }) => since },
    {
      heading: 'SEEN',
      text: ({ seen }) => seenShareWords(seen),
      color: (text, { verdict }) => (verdict === 'not-enough-evidence' ? colors.yellow(text) : text),
    },
    { heading: 'WINDOWS', text: ({ strip }) => strip },
    {
      heading: 'ACTION',
      // What a waiver accepts needs no action, and says why.
      text: ({ action, waiver }) => (action !== null ? String(action) : waiver === null ? '-' : `waiver ${waiver}`),
    },
  ]
}

function sinceText(
  exposure: Exposure | undefined,
  open: Episode | undefined,
  moment: (time: string) => string,
): string {
  if (exposure === undefined && open !== undefined) return `since ${beganWords(open, { moment })} (not seen now)`
  if (exposure === undefined) return '-'
  if (exposure.isOpen) return `since ${beganWords(beganOf(exposure), { moment })}`
  return `until ${moment(exposure.episodes.at(-1)?.endedAt ?? exposure.last)}`
}
