/** The inputs of a report or mail of a period, read together from the store. */
import { judge } from '../assess/judge/judge.ts'
import { settingsOf } from '../assess/judge/stored-scope.ts'
import type { JudgedPeriod } from '../assess/judge/seen.ts'
import type { ClusterPeriod } from '../model/period.ts'
import { compareText } from '../text/order.ts'
import { concurrently } from '../concurrently.ts'
import type { Cluster } from '../model/registry.ts'
import type { ReportPeriod, ReportInput } from '../report/report-input.ts'
import { replayNote } from '../report/words/replay-note.ts'
import { earlierPeriods } from '../time/week.ts'
import { readPrintedHead } from '../seal/printed-head.ts'
import { declaredScope, declaredWaivers } from '../store/registry/declarations.ts'
import { type RecordedReview, readReviews } from '../store/registry/reviews.ts'
import { unreadHistories } from '../history/history-problem.ts'
import { type Objects, StoreError } from '../store/objects/objects.ts'
import { readPeriodAndPast, unreadPeriod } from '../history/period.ts'
import { DamagedError } from '../store/objects/derived-object.ts'
import { errorLine } from '../text/error-line.ts'
import { readRecorded } from '../store/registry/registry.ts'

/** Number of clusters that are read at once: reading one takes more memory than its result. */
const MAX_READS = 4

/** The same where each cluster is forgotten before the next. */
const MAX_READS_OF_EACH = 2

/** Number of equally long periods in the trend, including this one. */
const TREND_PERIODS = 8

/** Clusters and period of a report. */
export type ReportInstructions = {
  readonly clusters: readonly Cluster[]
  readonly period: ReportPeriod
  /** Windows that should have been collected by then and are not stored are reported as missing. */
  readonly now: Date
  /** Version of ciphertrail. */
  readonly version: string
  /** Ids of clusters that were removed from the registry; default: none. */
  readonly removed?: readonly string[]
}

/** The store, and what tells people of the reading. */
export type ReadDeps = {
  readonly objects: Objects
  readonly progress?: (what: string) => void
  /** Receives a line for each cluster whose history cannot be read and for each rule that could not be applied, in the order of the clusters. */
  readonly warn?: (line: string) => void
}

/**
 * Reads and judges a period. One cluster's evidence never keeps the others from being reported: a cluster that cannot be read because of it counts as not
 * collected, with one line that says why. Throws {@link StoreError} if the store cannot be read, and for a cluster whose history is damaged, or if none is
 * derived, since a rebuild repairs that and a report is kept for good.
 */
export async function readReportInput(instructions: ReportInstructions, deps: ReadDeps): Promise<ReportInput> {
  const { readOne, judgedInput } = await beginInput(instructions, TREND_PERIODS - 1, deps)
  const read = await concurrently(instructions.clusters, MAX_READS, readOne)
  deps.progress?.('Judging the period')
  const input = judgedInput(read)
  for (const line of warningsOf(input)) deps.warn?.(line)
  return { ...input, checkpoint: await readPrintedHead(evidenceOf(input), deps.objects) }
}

/**
 * Reads and judges a period as {@link readReportInput} does, but each cluster in an input of its own, since all of a fleet does not fit into memory. `made` has
 * what `make` returned for each input, in the order of the clusters; without a cluster, for one empty input. `checkpoint` is the signed head for all clusters
 * together. An input has no signed head, and one earlier period only. A period that has not ended yet is judged up to the last expected window of each cluster.
 */
export async function readEachCluster<T>(
  instructions: ReportInstructions,
  deps: ReadDeps,
  make: (input: ReportInput) => T,
): Promise<{ readonly made: readonly T[]; readonly checkpoint: ReportInput['checkpoint'] }> {
  const { clusters } = instructions
  const { readOne, judgedInput } = await beginInput(instructions, 1, deps)
  const evidence: string[] = []
  let done = 0
  const read = await concurrently(clusters, MAX_READS_OF_EACH, async (cluster) => {
    const input = judgedInput([await readOne(cluster)])
    evidence.push(...evidenceOf(input))
    if (clusters.length > 1) deps.progress?.(`Reading the history: ${++done} of ${clusters.length} clusters`)
    return { made: make(input), warnings: warningsOf(input) }
  })
  for (const line of read.flatMap(({ warnings }) => warnings)) deps.warn?.(line)
  return {
    made: read.length === 0 ? [make(judgedInput([]))] : read.map(({ made }) => made),
    checkpoint: await readPrintedHead(evidence, deps.objects),
  }
}

type ReadCluster = Awaited<ReturnType<typeof readPeriodAndPast>>

/** Reads what is the same for all clusters: returns how one is read, and how those that were read are judged. */
async function beginInput(
  { clusters, period, now, version, removed = [] }: ReportInstructions,
  earlierCount: number,
  { objects, progress = () => {} }: Pick<ReadDeps, 'objects' | 'progress'>,
): Promise<{
  readonly readOne: (cluster: Cluster) => Promise<ReadCluster>
  /** Without the signed head. */
  readonly judgedInput: (read: readonly ReadCluster[]) => ReportInput
}> {
  progress('Reading the history')
  const { problem, notDerived } = await unreadHistories(clusters, objects)
  if (problem !== undefined) throw new StoreError(problem)
  const earlier = earlierPeriods(period, earlierCount)
  const [{ declared: scope }, { declared: waivers }] = await Promise.all([
    declaredScope(objects),
    declaredWaivers(objects),
  ])
  const settings = settingsOf(scope.report)
  const reviews = reviewsBefore(period, earlier[0]?.from ?? period.from, await readReviews(objects))
  const readAs = { now, platformNamespaces: settings.platformNamespaces }
  const known = new Map(clusters.map((cluster) => [cluster.id, cluster]))
  return {
    async readOne(cluster) {
      const unread = notDerived.get(cluster.id)
      if (unread !== undefined) return unreadPeriod(cluster, period, earlier, readAs, unread)
      try {
        return await readPeriodAndPast(cluster, period, earlier, readAs, objects)
      } catch (error) {
        if (error instanceof StoreError || error instanceof DamagedError) throw error
        const line = `Cannot read what was collected of cluster "${cluster.id}": ${errorLine(error)}`
        return unreadPeriod(cluster, period, earlier, readAs, line)
      }
    },
    judgedInput(read) {
      const kept = read.map(({ current }) => current)
      const judgement = judge({
        clusters: kept,
        scopes: scope.scopes,
        waivers,
        settings,
        period: judgedPeriod(period, kept, now),
        at: period.to,
      })
      const replay = replayNote(kept.flatMap(({ id }) => known.get(id) ?? []))
      return {
        period,
        version,
        clusters: kept,
        past: read.map(({ past }) => past),
        settings,
        judgement,
        checkpoint: null,
        removed,
        ...(reviews.length === 0 ? {} : { reviews }),
        ...(replay === null ? {} : { replay }),
      }
    },
  }
}

function warningsOf({ clusters, judgement }: ReportInput): string[] {
  const unread = clusters.filter(({ isUnread }) => isUnread === true)
  return [...unread.flatMap(({ errors }) => errors.map(({ line }) => line)), ...judgement.errors]
}

/** The keys of the attempts that an input is made from. */
function evidenceOf({ clusters }: ReportInput): string[] {
  return clusters.flatMap(({ windows }) =>
    windows.flatMap(({ evidence, also = [] }) => [...(evidence === null ? [] : [evidence]), ...also]),
  )
}

/** The reviews of the reports of earlier periods in the trend. */
function reviewsBefore(
  { from, to }: ReportPeriod,
  earliest: string,
  reviews: readonly RecordedReview[],
): readonly RecordedReview[] {
  return reviews.filter(
    ({ period }) => period.from >= earliest && period.to <= to && (period.from !== from || period.to !== to),
  )
}

/** A period that has not ended yet is judged up to the last expected window. */
function judgedPeriod({ from, to }: ReportPeriod, clusters: readonly ClusterPeriod[], now: Date): JudgedPeriod {
  if (now.getTime() >= Date.parse(to)) return { from, to }
  const ends = clusters.flatMap(({ windows }) => windows.slice(-1).map(({ end }) => end))
  return { from, to: ends.toSorted(compareText).at(-1) ?? from }
}

/** Clusters that were removed from the registry: their findings must not disappear silently. */
export async function removedClusters(clusters: readonly Cluster[], objects: Objects): Promise<string[]> {
  const registered = new Set(clusters.map(({ id }) => id))
  const recorded = await readRecorded({ objects })
  return recorded.clusters.map(({ id }) => id).filter((id) => !registered.has(id))
}
