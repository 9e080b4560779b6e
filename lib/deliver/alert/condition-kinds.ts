import { plural } from '../../report/words/vocabulary.ts'
import type { PathEpisode } from '../../model/period.ts'
import type { PathRow } from '../../model/history.ts'
import type { Waiver } from '../../model/judgement.ts'
import type { Channel } from '../channel/channel.ts'
import type { Dates } from '../../time/dates.ts'
import { cutLine } from '../../text/printable.ts'

/** Kinds of alert conditions, in the order in which an alert lists them. */
export const CONDITION_KINDS = [
  'path',
  'coverage',
  'namespace-coverage',
  'certificate',
  'trust-anchor',
  'seal',
  'unreadable',
] as const

/** Kind of an alert condition. */
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

/** Counts by kind, such as `2 paths not encrypted, 1 seal behind`; empty if there are none. */
export function countWordsOf(conditions: readonly Pick<Condition, 'kind'>[]): string {
  return CONDITION_KINDS.flatMap((kind) => {
    const count = conditions.filter((condition) => condition.kind === kind).length
    return count === 0 ? [] : [plural(count, ...KIND_WORDS[kind])]
  }).join(', ')
}

/** A current or past alert condition. */
export type Condition = {
  /** Identifies it while it lasts, and when it returns. */
  readonly key: string
  readonly kind: ConditionKind
  /** Null if it concerns no single cluster. */
  readonly cluster: string | null
  /** RFC 3339: since when it is known. */
  readonly since: string
  /** Its text, printable, one line. */
  readonly line: string
  /** Cause and fix, each a printable line; empty if unknown or if there is nothing to say. */
  readonly details: readonly string[]
}

/** A current condition. */
export type Present = Condition & {
  /** Id of the episode of a path; null for other kinds. */
  readonly episode: string | null
  /** Id of the waiver that accepts a path; null if none does. Accepted paths are not reported. */
  readonly waiver: string | null
  /** RFC 3339: when it is reported again because it became more urgent; empty for never. */
  readonly tellAgainAt: readonly string[]
}

/** A condition and what was reported about it. */
export type Watched = Omit<Present, 'details' | 'tellAgainAt'> & {
  /** The condition holds, and no waiver accepts it. */
  readonly isActive: boolean
  /** Whether its beginning was reported; only then is its end reported. */
  readonly isTold: boolean
  /** RFC 3339: when its beginning was last reported; null for never. */
  readonly toldAt: string | null
}

/** An episode of a path, and how it was last seen while unencrypted; null if unknown. */
export type AlertPath = PathEpisode & {
  readonly seen: Pick<PathRow, 'state' | 'outcome' | 'reason' | 'cause' | 'settings'> | null
}

/** The facts about a cluster. */
export type ClusterFacts = {
  readonly id: string
  /** Why its history is unreadable; then everything else about it is unknown. One line. */
  readonly problem: string | null
  /** RFC 3339: its first look; null if unknown. */
  readonly firstLookAt: string | null
  /** All open episodes, and the ended ones. */
  readonly episodes: readonly AlertPath[]
  /** The expected windows that should have been collected, oldest first. */
  readonly windows: readonly {
    readonly end: string
    /** Null: a list says that there was nothing to observe. That is no loss, and ends none. */
    readonly isObserved: boolean | null
    /** The observed share of the expected; null if unknown. */
    readonly share: number | null
  }[]
  /** All namespaces that lately had a pod with a proxy. */
  readonly namespaces: readonly {
    readonly name: string
    /** The last two of `windows`, for this namespace; null: nothing was expected, according to the last complete list. */
    readonly windows: ClusterFacts['windows']
    /** RFC 3339: end of the last window in which some of it was observed; null if unknown. */
    readonly seenAt: string | null
  }[]
  /** Whether a complete list covers the last window: in a namespace that it does not name, there was nothing to observe. */
  readonly isListed: boolean
  /** The earliest expiry of a proxy's certificate, at the end of the window that showed it; null if unknown. */
  readonly certificate: {
    readonly expires: string
    readonly asOf: string
    /** Whether every expected proxy was observed then. */
    readonly isOfAll: boolean
  } | null
  /** Null if unknown. */
  readonly trustAnchors:
    | readonly { readonly subject: string; readonly sha256: string; readonly notAfter: string }[]
    | null
}

/** All facts on which alerts are decided. */
export type AlertFacts = {
  /** RFC 3339. */
  readonly now: string
  readonly clusters: readonly ClusterFacts[]
  /** The waivers. If they cannot be read, `problem` says why in one line, and nothing counts as accepted. */
  readonly waivers: { readonly all: readonly Waiver[]; readonly problem: string | null }
  /** Why the scope is unreadable, in one line; then paths of every class are among `clusters`. Null: it is readable. */
  readonly scopeProblem: string | null
  /** Since when nothing was sealed, RFC 3339, null if unknown. Null: there is no log. */
  readonly seal: { readonly isBehind: boolean; readonly since: string | null } | null
}

/** Names from clusters can have any length. */
const MAX_LINE_LENGTH = 600

/** The facts of a look, indexed for ten thousand conditions. */
export type KnownFacts = {
  readonly channel: Channel
  readonly facts: AlertFacts
  readonly dates: Dates
  readonly clusters: ReadonlyMap<string, KnownCluster>
}

/** A cluster with its episodes by id and path. */
export type KnownCluster = ClusterFacts & {
  readonly byEpisode: ReadonlyMap<string, AlertPath>
  /** Oldest first. */
  readonly byPath: ReadonlyMap<string, readonly AlertPath[]>
}

/** Truncates a line of an alert to what programs show. */
export const cut = (line: string): string => cutLine(line, MAX_LINE_LENGTH)

/** A condition of no path, with lines below its own. */
export const present = (condition: Omit<Condition, 'details'>, ...details: readonly string[]): Present => ({
  ...condition,
  line: cut(condition.line),
  details: details.map(cut),
  episode: null,
  waiver: null,
  tellAgainAt: [],
})
