import { isEncrypted, isNotEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import { workloadKey } from '../../../lib/assess/pods/facts.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { STATES } from '../../../lib/model/path.ts'
import type { BlindSpot, PathWindow, Workload, WindowResult } from '../../../lib/model/window.ts'
import { compareText } from '../../../lib/text/order.ts'
import { CAUSE_WORDS, CLASS_WORDS, capital, plural, reasonWords } from '../../../lib/report/words/vocabulary.ts'
import { shareWords } from '../../../lib/text/share-words.ts'
import { classNamespaces, pathClass } from '../../../lib/assess/ends/path-class.ts'
import type { ReportSettings } from '../../../lib/model/judgement.ts'
import { PATH_CLASSES, type PathClass } from '../../../lib/model/path.ts'

/** How many paths a look shows, by what they are. */
export type LookCounts = {
  /** All that are judged: what was refused or is exempt is not among them. */
  readonly paths: number
  readonly notEncrypted: number
  readonly unknown: number
  readonly encrypted: number
  readonly refused: number
  readonly exempt: number
}

/** The paths of a class that is not judged. */
export type OtherPaths = { readonly class: PathClass; readonly paths: readonly PathWindow[] }

/** The paths of a look that are judged, and the others by class. */
export function byClass(
  { paths, namespaces }: Pick<WindowResult, 'paths' | 'namespaces'>,
  { judgedClasses, platformNamespaces }: Pick<ReportSettings, 'judgedClasses' | 'platformNamespaces'>,
): { readonly judged: readonly PathWindow[]; readonly others: readonly OtherPaths[] } {
  const classes = classNamespaces([namespaces], platformNamespaces)
  const all = Map.groupBy(paths, (path) => pathClass(path, classes))
  return {
    judged: judgedClasses.flatMap((one) => all.get(one) ?? []),
    others: PATH_CLASSES.filter((one) => !judgedClasses.includes(one)).flatMap((one) => {
      const own = all.get(one) ?? []
      return own.length === 0 ? [] : [{ class: one, paths: own }]
    }),
  }
}

/** `Not judged: 55 paths of Linkerd's own, 2 not encrypted.` */
export function othersText({ class: of, paths }: OtherPaths): string {
  const { notEncrypted } = countLook(paths)
  return `Not judged: ${plural(paths.length, 'path')} of ${CLASS_WORDS[of]}, ${notEncrypted} not encrypted.`
}

/** Counts the paths of a look. */
export function countLook(paths: readonly PathWindow[]): LookCounts {
  const refused = paths.filter(({ outcome }) => outcome === 'refused').length
  const exempt = paths.filter(isExemptRow).length
  const allowed = paths.filter(({ outcome }) => outcome === 'allowed')
  return {
    paths: paths.length - refused - exempt,
    notEncrypted: allowed.filter(isNotEncrypted).length,
    unknown: allowed.filter(({ state }) => state === 'unknown').length,
    encrypted: allowed.filter(({ state }) => isEncrypted(state)).length,
    refused,
    exempt,
  }
}

/** What of the time of workloads that have a proxy was seen; `ratio` is null where nothing was expected. */
export type LookShare = {
  readonly expectedSeconds: number
  readonly observedSeconds: number
  readonly ratio: number | null
}

/** The share of a look that was seen. */
export function shareOf({ coverage }: Pick<WindowResult, 'coverage'>): LookShare {
  const expectedSeconds = coverage.reduce((sum, row) => sum + row.expectedSeconds, 0)
  const observedSeconds = coverage.reduce((sum, row) => sum + row.observedSeconds, 0)
  return { expectedSeconds, observedSeconds, ratio: expectedSeconds === 0 ? null : observedSeconds / expectedSeconds }
}

/** The verdict of a look in one sentence, with the share that it rests on: never better than what was seen. */
export function verdictLine(result: Pick<WindowResult, 'paths' | 'coverage' | 'window' | 'workloads'>): string {
  const counts = countLook(result.paths)
  const { ratio } = shareOf(result)
  const last = `in the last ${lengthWords(result)}`
  const seen =
    ratio === null
      ? `what share of the proxies’ time ${last} was seen is not known`
      : `${shareWords(ratio)} of the proxies’ time ${last} was seen`
  return `${[pathsWords(counts), seen, ...meshedWords(result)].join('; ')}.`
}

/** Whoever has no proxy at all is not in the share, so it stands beside it. */
function meshedWords({ workloads }: Pick<WindowResult, 'workloads'>): string[] {
  const running = workloads.filter(({ pods }) => pods > 0)
  const lacking = running.filter(({ blindSpots }) =>
    blindSpots.some(({ kind }) => kind === 'unmeshed' || kind === 'host-network' || kind === 'pod-unknown'),
  ).length
  if (lacking === 0) return []
  return [`${lacking} of ${plural(running.length, 'workload')} ${lacking === 1 ? 'is' : 'are'} not fully meshed`]
}

function pathsWords({ paths, notEncrypted, unknown, encrypted }: LookCounts): string {
  if (paths === 0) return 'No path to judge was seen'
  const all = plural(paths, 'judged path')
  const unknownWords = unknown === 0 ? '' : `, ${unknown} unknown`
  const areOf = (count: number): string => `${count} of ${all} ${count === 1 || paths === 1 ? 'is' : 'are'}`
  if (notEncrypted > 0) return `${areOf(notEncrypted)} not encrypted${unknownWords}`
  if (unknown > 0) return `${areOf(encrypted)} encrypted${unknownWords}`
  return paths === 1 ? 'The only judged path seen is encrypted' : `All ${all} seen are encrypted`
}

/** `10 minutes`; in seconds where it is no whole number of minutes. */
function lengthWords({ window: { start, end } }: Pick<WindowResult, 'window'>): string {
  const seconds = toSeconds(end) - toSeconds(start)
  if (seconds % 60 !== 0) return `${seconds} seconds`
  return seconds === 60 ? 'minute' : `${seconds / 60} minutes`
}

/** The paths of a look, worst first; of one state the one with most bytes in the clear. What was refused, and what is exempt, comes last. */
export function worstFirst(paths: readonly PathWindow[]): PathWindow[] {
  return paths.toSorted(
    (a, b) =>
      rankOf(a) - rankOf(b) ||
      b.clearBytes - a.clearBytes ||
      compareText(JSON.stringify([a.source, a.destination, a.port]), JSON.stringify([b.source, b.destination, b.port])),
  )
}

function rankOf({ state, outcome }: PathWindow): number {
  const own = STATES.indexOf(state)
  if (outcome === 'refused') return STATES.indexOf('app-tls') + 0.5
  return own
}

/** Whether a path is listed and not judged, as of probes. */
export function isExemptRow({ state, outcome }: PathWindow): boolean {
  return state === 'exempt' && outcome === 'allowed'
}

/** What a look says in place of the words of a report, which has lists from before its windows. */
const OWN_WORDS: ReadonlyMap<string, string> = new Map([
  [
    'source-partly-unmeshed (no list)',
    'the port saw unnamed plaintext, and a pod of the source that has ended may have sent it',
  ],
])

/** Why a path is what it is, in words: the likely cause where there is one, else what Linkerd says; `-` where there is nothing to explain. */
export function whyText({ state, outcome, reason, cause }: PathWindow): string {
  if (state === 'mtls') return '-'
  if (outcome === 'refused') return `refused by policy: ${reasonWords(reason)}`
  if (state === 'tls-anonymous') return 'the client showed no identity'
  if (cause !== null && cause !== 'unknown' && state !== 'unknown') return CAUSE_WORDS[cause]
  return OWN_WORDS.get(reason) ?? reasonWords(reason)
}

/** Something of a workload that was not seen. */
export type NotSeen = Pick<Workload, 'kind' | 'namespace' | 'name' | 'pods'> & {
  readonly what: BlindSpot['kind']
  /** Empty where it is about no port. */
  readonly ports: readonly string[]
  readonly detail: string
}

/** What should have been seen first, then what is not in the mesh, then what Linkerd is told to leave alone, or does not carry. */
const NOT_SEEN: readonly BlindSpot['kind'][] = [
  'not-scraped',
  'pod-unknown',
  'unmeshed',
  'host-network',
  'skip-inbound',
  'skip-outbound',
  'skip-subnet',
  'ipv6',
  'init-container',
  'udp',
]

/** What a look did not see of each workload. An opaque port is seen, only not what is spoken on it. */
export function notSeenRows({ workloads }: Pick<WindowResult, 'workloads'>): NotSeen[] {
  return workloads
    .flatMap(({ kind, namespace, name, pods, blindSpots }) => {
      const told = blindSpots.filter(
        (spot) =>
          NOT_SEEN.includes(spot.kind) &&
          // Pods on the host's network are told as such.
          !(spot.kind === 'unmeshed' && blindSpots.some((one) => one.kind === 'host-network')),
      )
      return [...Map.groupBy(told, (spot) => `${spot.kind} ${spot.detail}`).values()].flatMap(([first, ...others]) => {
        if (first === undefined) return []
        const ports = [first, ...others].flatMap(({ port }) => port ?? [])
        return [{ kind, namespace, name, pods, what: first.kind, ports, detail: first.detail }]
      })
    })
    .toSorted(
      (a, b) => NOT_SEEN.indexOf(a.what) - NOT_SEEN.indexOf(b.what) || compareText(workloadKey(a), workloadKey(b)),
    )
}

/** `ports 443, 6443: outbound connections go around the proxy` */
export function notSeenText({ what, ports, detail }: NotSeen): string {
  if (ports.length === 0) return detail
  return `${what === 'udp' ? 'UDP ' : ''}port${ports.length === 1 ? '' : 's'} ${ports.join(', ')}: ${detail}`
}

/** What one list, taken after the minutes that are shown, cannot tell; null where cAdvisor tells it. */
export function unsettledNote({ inputs, workloads }: Pick<WindowResult, 'inputs' | 'workloads'>): string | null {
  if (inputs.after === null) return capital('what was not seen cannot be told: the Kubernetes lists could not be read')
  return workloads.some(({ meshed, pods }) => meshed === 'unknown' && pods > 0)
    ? 'Pods without a proxy that have ended since are not known: the lists are those of now, and cAdvisor does not show every node'
    : null
}
