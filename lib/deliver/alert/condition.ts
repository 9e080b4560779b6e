import { plural } from '../../report/words/vocabulary.ts'
import type { PathEpisode } from '../../model/period.ts'
import type { PathRow } from '../../model/history.ts'
import type { Waiver } from '../../model/judgement.ts'
import type { Channel } from '../channel/channel.ts'
import type { Dates } from '../../time/dates.ts'
import { cutLine } from '../../text/printable.ts'

/** What an alert may be about, in the order in which it tells them. */
export const CONDITION_KINDS = [
  'path',
  'coverage',
  'namespace-coverage',
  'certificate',
  'trust-anchor',
  'seal',
  'unreadable',
] as const

/** What an alert may be about. */
export type ConditionKind = (typeof CONDITION_KINDS)[number]

const KIND_WORDS: Readonly<Record<ConditionKind, readonly [one: string, several: string]>> = {
  path: ['path not encrypted', 'paths not encrypted'],
  coverage: ['cluster not observed', 'clusters not observed'],
  'namespace-coverage': ['namespace not observed', 'namespaces not observed'],
  certificate: ['certificate not renewed', 'certificates not renewed'],
  'trust-anchor': ['trust anchor about to end', 'trust anchors about to end'],
  seal: ['seal behind', 'seals behind'],
  unreadable: ['record unreadable', 'records unreadable'],
}

/** How many there are of each kind, such as `2 paths not encrypted, 1 seal behind`; empty where there are none. */
export function countWordsOf(conditions: readonly Pick<Condition, 'kind'>[]): string {
  return CONDITION_KINDS.flatMap((kind) => {
    const count = conditions.filter((condition) => condition.kind === kind).length
    return count === 0 ? [] : [plural(count, ...KIND_WORDS[kind])]
  }).join(', ')
}

/** Something that is so, or was. */
export type Condition = {
  /** Names it for as long as it lasts, and when it comes again. */
  readonly key: string
  readonly kind: ConditionKind
  /** Null where it is of no single cluster. */
  readonly cluster: string | null
  /** RFC 3339: since when it is known. */
  readonly since: string
  /** In words, printable, one line. */
  readonly line: string
  /** Why it is so and what would fix it, each a printable line; empty where that is not known or nothing is to be said. */
  readonly details: readonly string[]
}

/** What is so now. */
export type Present = Condition & {
  /** Id of the episode of a path; null for whatever else. */
  readonly episode: string | null
  /** Id of the waiver that accepts a path; null where none does. What is accepted is not told. */
  readonly waiver: string | null
  /** RFC 3339: when it is to be told again although it was told, since it grew worse; empty for never. */
  readonly tellAgainAt: readonly string[]
}

/** A condition and what was told of it. */
export type Watched = Omit<Present, 'details' | 'tellAgainAt'> & {
  /** It is so, and no waiver accepts it. */
  readonly isActive: boolean
  /** Whether it was told that it is so; what was not told to begin is not told to end. */
  readonly isTold: boolean
  /** RFC 3339: when it was last told to begin; null for never. */
  readonly toldAt: string | null
}

/** An episode of a path, and how it was seen last while it was not encrypted; null where that is not known. */
export type AlertPath = PathEpisode & {
  readonly seen: Pick<PathRow, 'state' | 'outcome' | 'reason' | 'cause' | 'settings'> | null
}

/** What is known of a cluster. */
export type ClusterFacts = {
  readonly id: string
  /** Why its history cannot be read; then nothing else of it is known. One line. */
  readonly problem: string | null
  /** RFC 3339: when it was looked at first; null where that is not known. */
  readonly firstLookAt: string | null
  /** Every episode that is open, and those that ended. */
  readonly episodes: readonly AlertPath[]
  /** The expected windows that should be collected by now, oldest first. */
  readonly windows: readonly {
    readonly end: string
    /** Null: there was nothing to see, as a list of what there was says. That is no loss, and ends none. */
    readonly isObserved: boolean | null
    /** How much of what was to be seen was; null where that is not known. */
    readonly share: number | null
  }[]
  /** Every namespace in which a pod with a proxy was to be seen lately. */
  readonly namespaces: readonly {
    readonly name: string
    /** The last two of `windows`, as to what was to be seen in the namespace; null: nothing, as the last complete list says. */
    readonly windows: ClusterFacts['windows']
    /** RFC 3339: end of the last window in which some of it was observed; null where that is not known. */
    readonly seenAt: string | null
  }[]
  /** Whether a complete list tells what there was in the last window: in a namespace that is not among them nothing was to be seen. */
  readonly isListed: boolean
  /** The earliest end of a proxy's certificate, as of the end of the window that told it; null where that is not known. */
  readonly certificate: {
    readonly expires: string
    readonly asOf: string
    /** Whether every proxy that was to be seen then was. */
    readonly isOfAll: boolean
  } | null
  /** Null where they are not known. */
  readonly trustAnchors:
    | readonly { readonly subject: string; readonly sha256: string; readonly notAfter: string }[]
    | null
}

/** All that is known when alerts are decided. */
export type AlertFacts = {
  /** RFC 3339. */
  readonly now: string
  readonly clusters: readonly ClusterFacts[]
  /** The register. Where it cannot be read, `problem` says why in one line, and nothing counts as accepted. */
  readonly waivers: { readonly all: readonly Waiver[]; readonly problem: string | null }
  /** Why the scope cannot be read, in one line; then paths of every class are among `clusters`. Null: it can. */
  readonly scopeProblem: string | null
  /** Since when nothing was sealed, RFC 3339, null where that is not known. Null: there is no log. */
  readonly seal: { readonly isBehind: boolean; readonly since: string | null } | null
}

/** Names from clusters have any length. */
const MAX_LINE_LENGTH = 600

/** The facts of a look, so that each of ten thousand conditions is found at once. */
export type KnownFacts = {
  readonly channel: Channel
  readonly facts: AlertFacts
  readonly dates: Dates
  readonly clusters: ReadonlyMap<string, KnownCluster>
}

/** A cluster with its episodes by what they are asked for. */
export type KnownCluster = ClusterFacts & {
  readonly byEpisode: ReadonlyMap<string, AlertPath>
  /** Oldest first. */
  readonly byPath: ReadonlyMap<string, readonly AlertPath[]>
}

/** A line of an alert, of which no program shows more. */
export const cut = (line: string): string => cutLine(line, MAX_LINE_LENGTH)
