/** The front page: how things stand, with the numbers of `ciphertrail status`. */
import { pageOne } from '../../report/sections/page-one.ts'
import { actionFacts } from '../../report/sections/not-encrypted.ts'
import { openUnseen } from '../../report/summary/episode-summary.ts'
import type { StatusCluster } from '../../report/summary/status.ts'
import type { Exposure } from '../../report/summary/path-summary.ts'
import { pathKey } from '../../report/summary/path-summary.ts'
import { isWaived } from '../../report/summary/figures.ts'
import { worstStrip } from '../../report/drawing/strip-drawing.ts'
import { type TableView, number, plain, table, textCell } from '../../report/table-cells.ts'
import { titleParts } from '../../report/words/action-titles.ts'
import { beganOf, sinceWords } from '../../report/words/format-episode.ts'
import { type Wording, wordingOf } from '../../report/words/report-context.ts'
import { plural } from '../../report/words/vocabulary.ts'
import { printable } from '../../text/printable.ts'
import { shareWords } from '../../text/share-words.ts'
import { durationWords } from '../../time/dates.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import { labelPast, statusLine } from './frame.ts'
import type { MakePage } from './page.ts'
import { hrefOf } from './page-query.ts'
import { type PathLink, actionPaths, pathLink } from './path-links.ts'

/** So many actions have their paths beside them. */
const MAX_ACTIONS = 10

const WEEK_SECONDS = 7 * 24 * 60 * 60

/** Makes the front page. */
export const nowPage: MakePage = async ({ query, grant }, { history }) => {
  const status = await history.status({ grant, cluster: query.cluster, at: query.at })
  const { period } = status
  const summary = labelPast(status.summary, query.past)
  const wording = wordingOf(summary, { isPage: true })
  const { dates } = wording
  const one = pageOne(wording)
  const seconds = (Date.parse(period.to) - Date.parse(period.from)) / 1000
  return {
    title: query.past === null ? 'Now' : 'Then',
    template: 'now',
    replay: summary.replay,
    standing: statusLine(summary),
    view: {
      verdict: one.verdict,
      beside: one.beside,
      seen: `Seen: ${dates.range(period.from, period.to)} (UTC), ${durationWords(seconds)}.`,
      // The period ends with the present here.
      figures: one.figures.map((figure, index) =>
        index === 0 ? { ...figure, label: query.past === null ? 'unencrypted now' : 'unencrypted then' } : figure,
      ),
      changesHref: hrefOf('/changes', { at: query.past, cluster: query.cluster }),
      pathsHref: hrefOf('/paths', { at: query.past, cluster: query.cluster }),
      flowHref: hrefOf('/flow', {
        at: query.past,
        before: toTime(toSeconds(period.to) - WEEK_SECONDS),
        cluster: query.cluster,
      }),
      actionsNote: summary.actions.length > 0 ? 'in scope, worst state, most bytes, oldest first' : one.actionsNote,
      actions: summary.actions.slice(0, MAX_ACTIONS).map((action) => ({
        number: String(action.number),
        title: titleParts(action),
        facts: actionFacts(wording, action),
        ...actionPaths(action, query.past),
        strip: worstStrip(wording, action.paths),
      })),
      others: otherPaths(wording, query.past),
      clusters: clusterTable(status.clusters, wording),
      clustersHref: hrefOf('/clusters', { at: query.past }),
      coverageNote: one.coverageNote,
      coverage: one.coverage.map((coverage) => ({
        ...coverage,
        href: hrefOf('/clusters', { at: query.past }),
      })),
      bars: one.bars,
      barsNote: one.barsNote,
      notSeen: one.notSeen,
      seal: one.seal,
      // Whose channels there are is for whoever may see everything.
      mail:
        grant.clusters !== 'all' || query.past !== null
          ? ''
          : status.mail === null
            ? 'Mail: no channel is set up.'
            : `Mail: next ${dates.moment(status.mail.at)} to channel ${printable(status.mail.channel)}.`,
    },
  }
}

/** Open paths that no action ends: a waiver accepts them, or nothing in this span tells their cause. */
function otherPaths(wording: Wording, past: string | null): readonly (PathLink & { readonly note: string })[] {
  const { summary, dates } = wording
  const acted = new Set(summary.actions.flatMap(({ paths }) => paths.map(pathKey)))
  const open = summary.notEncrypted.filter((path) => path.isOpen && !acted.has(pathKey(path)))
  const since = (path: Exposure): string => sinceWords(path.cluster, beganOf(path), summary, dates)
  return [
    ...open.map((path) => ({
      ...pathLink(path, path.mark, past),
      note: `${since(path)}${isWaived(path) ? '; accepted by a waiver' : ''}`,
    })),
    ...unseenOpen(wording, past),
  ]
}

/** Paths that were open when they were last seen, which was before this span. */
function unseenOpen(
  { summary, dates }: Wording,
  past: string | null,
): readonly (PathLink & { readonly note: string })[] {
  return openUnseen(summary.episodes.all, summary.notEncrypted).map((one) => ({
    ...pathLink(one, 'unknown', past),
    note: `was open when last seen: ${sinceWords(one.cluster, one.episode, summary, dates)}`,
  }))
}

function clusterTable(clusters: readonly StatusCluster[], { dates, summary }: Wording): TableView {
  const share = (value: number | null): string => (value === null ? 'unknown' : shareWords(value))
  const days = (Date.parse(summary.period.to) - Date.parse(summary.period.from)) / 86_400_000
  return table(
    'What was collected and seen of each cluster, as a share of pod time.',
    [
      ['Cluster', 26],
      ['Last window', 24],
      ['Seen in 24 hours', 16, 'numbers'],
      [days > 1 ? `Seen in ${plural(Math.round(days), 'day')}` : 'Seen in all', 16, 'numbers'],
      ['Not collected', 18, 'numbers'],
    ],
    clusters.map(({ id, lastWindow, isUpToDate, seenInDay, seenInSpan, missingWindows, missingSeconds }) => [
      plain(id),
      textCell(
        lastWindow === null ? 'none' : `${dates.moment(lastWindow)}${isUpToDate ? '' : ', later ones are missing'}`,
      ),
      number(share(seenInDay)),
      number(share(seenInSpan)),
      number(missingWindows === 0 ? 'none' : `${plural(missingWindows, 'window')}, ${durationWords(missingSeconds)}`),
    ]),
  )
}
