import type { Command } from 'commander'
import { concurrently } from '../../../lib/concurrently.ts'
import { fixOf } from '../../../lib/assess/fixes/fix-text.ts'
import { isNotEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import { type Look, lookAtCluster, lookWindow } from '../../../lib/jobs/look-at-cluster.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { PathWindow } from '../../../lib/model/window.ts'
import { LOOKS } from '../../../lib/report/drawing/state-looks.ts'
import {
  type NotSeen,
  type OtherPaths,
  byClass,
  countLook,
  othersText,
  isExemptRow,
  notSeenRows,
  notSeenText,
  shareOf,
  unsettledNote,
  verdictLine,
  whyText,
  worstFirst,
} from './look-words.ts'
import { endJson, toJson } from '../../../lib/text/format-json.ts'
import { utcRange } from '../../../lib/time/dates.ts'
import { type Console, FailedError, UsageError } from '../../console.ts'
import { chosenClusters, openStore } from '../../open-store.ts'
import { openRegistered } from '../../operator-trust.ts'
import { TIMEOUT_HELP, readDuration, readTime, readTimeout } from '../../option-values.ts'
import { type TerminalColumn, tableLines, wrapped } from '../../terminal-table.ts'
import { endName } from '../../../lib/assess/judge/waived.ts'
import type { ReportSettings } from '../../../lib/model/judgement.ts'
import { declaredSettings } from '../../../lib/store/registry/declarations.ts'

/** The options of `look`. */
type LookOptions = {
  readonly last: string
  readonly all?: boolean
  readonly now?: string
  readonly timeout?: string
  readonly json?: boolean
  readonly store?: string
}

/** Prometheus of linkerd-viz keeps six hours, but more than one is no look at what is now. */
const MOST_SECONDS = 60 * 60

/** Clusters that are asked at once. */
const AT_ONCE = 4

/** Lines are not longer, however wide the terminal is: what belongs together is then near together. */
const WIDTH = 100

/** Paths that are shown unless all are asked for: what is not encrypted always, of the others so many that a screen holds them. */
const FEW_PATHS = 20

/** Rows of what was not seen that are shown unless all are asked for. */
const FEW_NOT_SEEN = 10

/** Lines about what could not be asked: without a right to list there would be one for each list. */
const MOST_ERRORS = 3

/** Adds `ciphertrail look`. */
export function addLook(program: Command, console: Console): void {
  program
    .command('look')
    .summary('what a cluster shows now, without waiting for a window: nothing is stored')
    .description(
      'Asks a cluster for its last minutes, as "collect" does, and shows what was encrypted, what was not and why, worst first, and what was not seen. No window has to end, and nothing is stored.',
    )
    .argument('[cluster...]', 'registered clusters; default all')
    .option('--last <time>', 'how far back, such as 2m or 30m; at most 6m where proxies are read by name', '10m')
    .option('--all', 'every path and all that was not seen, also what is in order')
    .option('--now <time>', 'take this for the present: for replays; clock skew is then not judged')
    .option('--timeout <seconds>', TIMEOUT_HELP)
    .option('--json', 'one JSON object for each cluster')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail look\n  ciphertrail look prod --last 2m\n  ciphertrail look prod --json | jq \'.paths[] | select(.state == "plaintext")\'\n\nThe last minutes end a minute ago, so that the last scrape is in. Exit code 1\nif a cluster could not be asked or answered in part; what was found never\nchanges it.',
    )
    .action(async (ids: string[], _: unknown, command: Command) => {
      const options = command.optsWithGlobals<LookOptions>()
      const lastSeconds = readDuration('--last', options.last, MOST_SECONDS)
      const given = options.now === undefined ? undefined : new Date(readTime('--now', options.now))
      const now = given === undefined ? console.now : () => given
      const deadlines = readTimeout(options.timeout)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, ids)
      const settings = await declaredSettings(objects)
      const steps = new Map<string, { readonly done: number; readonly all: number }>()
      const named = clusters.length === 1 ? (clusters[0]?.id ?? '') : `${clusters.length} clusters`
      const progress = (): void => {
        const sum = (read: (step: { done: number; all: number }) => number) =>
          [...steps.values()].reduce((total, step) => total + read(step), 0)
        console.progress(`Looking at ${named}: ${sum(({ done }) => done)} of ${sum(({ all }) => all)} queries`)
      }
      console.progress(`Looking at ${named}`)
      const looks = await concurrently(clusters, AT_ONCE, async (cluster): Promise<Look | string> => {
        let access: ClusterAccess | undefined
        try {
          if (cluster.agent === true)
            return `Cannot look at cluster "${cluster.id}": it is collected by its agent, and nobody else reaches it; see "ciphertrail paths --cluster ${cluster.id}"`
          access = await openRegistered(cluster, options, console, deadlines)
          return await lookAtCluster(
            cluster,
            lookWindow(cluster, lastSeconds, now()),
            { collector: { name: 'ciphertrail', version: console.version }, isReplay: given !== undefined },
            {
              access,
              now,
              progress: (done, all) => {
                steps.set(cluster.id, { done, all })
                progress()
              },
            },
          )
        } catch (error) {
          // One cluster that cannot be opened must not keep the others from being shown.
          if (!(error instanceof Error) || error instanceof UsageError) throw error
          return error.message
        } finally {
          await access?.close()
        }
      })
      console.progressEnd()
      let isWhole = true
      let isFirst = true
      for (const [index, cluster] of clusters.entries()) {
        const look = looks[index]
        if (look === undefined) continue
        if (!isFirst && options.json !== true) console.out('')
        isFirst = false
        const isGood = print(cluster, look, { hasSeveral: clusters.length > 1, options, settings, console })
        isWhole &&= isGood
      }
      if (!isWhole) throw new FailedError()
    })
}

type PrintOptions = {
  readonly hasSeveral: boolean
  readonly options: LookOptions
  readonly settings: ReportSettings
  readonly console: Console
}

/** Prints what one cluster shows; false where it could not be asked, or answered in part. */
function print(
  cluster: Cluster,
  look: Look | string,
  { hasSeveral, options, settings, console }: PrintOptions,
): boolean {
  if (typeof look === 'string') {
    console.err(look)
    return false
  }
  const { complete, result } = look
  const errors = [...new Set(result.errors)]
  for (const line of errors.slice(0, MOST_ERRORS)) console.err(line)
  if (errors.length > MOST_ERRORS)
    console.err(
      `And ${errors.length - MOST_ERRORS} more of cluster "${cluster.id}"; see "ciphertrail cluster check ${cluster.id}"`,
    )
  const isGood = complete && result.collected
  if (options.json === true) console.out(toJson(lookJson(look, settings)))
  else if (result.collected) {
    const name = hasSeveral ? `${cluster.id}: ` : ''
    for (const [index, section] of sectionsOf(
      look,
      name,
      { isAll: options.all === true, settings },
      console,
    ).entries()) {
      if (index > 0) console.out('')
      for (const line of section) console.out(line)
    }
  }
  return isGood
}

/** What a look shows, section by section: the verdict, the paths, what was not seen. */
function sectionsOf(
  look: Look,
  name: string,
  { isAll, settings }: { readonly isAll: boolean; readonly settings: ReportSettings },
  console: Console,
): string[][] {
  const { judged, others } = byClass(look.result, settings)
  const headingOf = (other: OtherPaths): string[] => wrapped(othersText(other), widthOf(console))
  return [
    verdictLines({ ...look, result: { ...look.result, paths: judged } }, name, console),
    pathLines(judged, isAll, console),
    ...(isAll
      ? others.map((other) => [...headingOf(other), ...pathLines(other.paths, isAll, console)])
      : [others.flatMap(headingOf)]),
    notSeenLines(look, isAll, console),
  ].filter((section) => section.length > 0)
}

function verdictLines({ complete, result }: Look, name: string, console: Console): string[] {
  const { colors } = console
  const { notEncrypted, unknown } = countLook(result.paths)
  const color = notEncrypted > 0 ? colors.red : unknown > 0 || !complete ? colors.yellow : (text: string) => text
  const part = 'Not every question was answered, so that more may be there than is shown.'
  return [
    ...wrapped(`${name}${verdictLine(result)}`, widthOf(console)).map(color),
    ...(complete ? [] : wrapped(part, widthOf(console)).map(colors.yellow)),
    ...wrapped(`From ${utcRange(result.window)} (UTC); nothing was stored.`, widthOf(console)),
  ]
}

function pathLines(paths: readonly PathWindow[], isAll: boolean, console: Console): string[] {
  const sorted = worstFirst(paths)
  const wrong = sorted.filter(isNotEncrypted)
  const others = sorted.filter((path) => !isNotEncrypted(path) && !isExemptRow(path))
  const shown = isAll ? sorted : [...wrong, ...others.slice(0, Math.max(0, FEW_PATHS - wrong.length))]
  const isShown = new Set(shown)
  const left = countLook(paths.filter((path) => !isShown.has(path)))
  const rest = [
    [left.unknown, 'unknown'],
    [left.refused, 'refused'],
    [left.encrypted, 'encrypted'],
    [left.exempt, 'exempt (probes and the like)'],
  ].flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]))
  return [
    ...(shown.length === 0 ? [] : tableLines(shown, pathColumns(console), widthOf(console))),
    ...(rest.length === 0 ? [] : wrapped(`Not shown: ${rest.join(', ')}; see --all.`, widthOf(console))),
  ]
}

function pathColumns({ colors }: Console): TerminalColumn<PathWindow>[] {
  return [
    {
      heading: 'STATE',
      isMain: true,
      text: ({ state, outcome }) =>
        outcome === 'refused' ? `${LOOKS.refused.shape} refused` : `${LOOKS[state].shape} ${state}`,
      color: (text, path) =>
        isNotEncrypted(path) ? colors.red(text) : path.state === 'unknown' ? colors.yellow(text) : text,
    },
    { heading: 'SOURCE', isMain: true, text: ({ source }) => endName(source) },
    { heading: 'DESTINATION', isMain: true, text: ({ destination, port }) => `${endName(destination)}:${port}` },
    { heading: 'WHY', text: whyText },
  ]
}

function notSeenLines({ result }: Look, isAll: boolean, console: Console): string[] {
  const rows = notSeenRows(result)
  const note = unsettledNote(result)
  const shown = isAll ? rows : rows.slice(0, FEW_NOT_SEEN)
  const columns: TerminalColumn<NotSeen>[] = [
    { heading: 'NOT SEEN', isMain: true, text: endName },
    { heading: 'WHY', text: notSeenText },
  ]
  return [
    ...(shown.length === 0 ? [] : tableLines(shown, columns, widthOf(console))),
    ...(rows.length > shown.length ? [`And ${rows.length - shown.length} more that were not seen; see --all.`] : []),
    ...(note === null ? [] : wrapped(`${note}.`, widthOf(console))),
  ]
}

function widthOf({ width }: Console): number {
  return Math.min(width ?? WIDTH, WIDTH)
}

/** Without what can only be counted over a window that was collected: bytes and connections. */
function lookJson({ complete, result }: Look, settings: ReportSettings): Readonly<Record<string, unknown>> {
  const { judged, others } = byClass(result, settings)
  const { cluster, window, collected, errors } = result
  return {
    cluster,
    window,
    complete,
    collected,
    seen: collected ? shareOf(result) : null,
    counts: collected ? countLook(judged) : null,
    others: collected ? others.map(({ class: of, paths }) => ({ class: of, ...countLook(paths) })) : null,
    paths: collected ? worstFirst(judged).map(pathJson) : null,
    otherPaths: collected
      ? others.flatMap((other) => worstFirst(other.paths).map((path) => ({ class: other.class, ...pathJson(path) })))
      : null,
    notSeen: result.inputs.after === null ? null : notSeenRows(result),
    note: unsettledNote(result),
    errors,
  }
}

function pathJson(path: PathWindow): Readonly<Record<string, unknown>> {
  const { pathId, state, outcome, source, destination, port, reason, cause, enforcement, clientId, serverId } = path
  return {
    pathId,
    state,
    outcome,
    source: endJson(source),
    destination: endJson(destination),
    port,
    reason,
    cause,
    why: whyText(path),
    fix: fixOf(path),
    enforcement,
    clientId,
    serverId,
  }
}
