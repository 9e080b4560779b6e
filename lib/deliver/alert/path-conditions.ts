import { beganWords } from '../../report/words/format-episode.ts'
import type { Watched, Present, AlertFacts, AlertPath, KnownFacts, KnownCluster } from './condition-kinds.ts'
import { isOfChannel } from '../channel/channel.ts'
import { toSeconds } from '../../time/windows.ts'
import type { PathEpisode } from '../../model/period.ts'
import { waiverFor, isInForce, isAbout } from '../../assess/judge/waived.ts'
import type { Waiver } from '../../model/judgement.ts'
import { printable } from '../../text/printable.ts'
import { fixOf } from '../../assess/fixes/fix-text.ts'
import { whyWords } from '../mail/entries.ts'
import { endpointName, destinationName } from '../../report/table-cells.ts'
import { cut } from './condition-kinds.ts'

/** An operator who registers a cluster adds its channel before the first look or in the same session. */
const SITTING_SECONDS = 60 * 60

/** The conditions of a cluster's unencrypted paths. */
export function pathConditions(
  known: KnownFacts,
  { id, problem, firstLookAt, episodes, byPath }: KnownCluster,
  before: ReadonlyMap<string, Watched>,
): readonly Present[] {
  if (problem !== null) return []
  const { channel, facts, dates } = known
  // Then the findings of the first look were never reported.
  const isNewCluster = firstLookAt !== null && toSeconds(channel.addedAt) <= toSeconds(firstLookAt) + SITTING_SECONDS
  const conditions: Present[] = []
  for (const path of episodes) {
    const { episode, source, destination, pathId } = path
    if (episode.endedAt !== null || !isOfChannel(channel, [source, destination])) continue
    const key = `path/${id}/${pathId}`
    const watched = before.get(key)
    const lapsed = lapsedWaiver(path, id, facts)
    // Paths from before the channel are no news, since the weekly mail shows them. An ended waiver and the findings of a first look are news.
    const isNews =
      isNewCluster ||
      toSeconds(episode.openedAt) > toSeconds(channel.addedAt) ||
      (lapsed !== undefined && toSeconds(lapsed.expires) > toSeconds(channel.addedAt))
    const waiver = acceptedBy(path, id, facts)
    if (waiver === null && !isNews && watched?.isActive !== true && (watched?.waiver ?? null) === null) continue
    const isAgain = byPath.get(pathId)?.[0] !== path
    const since = episode.sinceUnknown
      ? `first seen ${dates.moment(episode.openedAt)}`
      : `since ${beganWords(episode, dates)}`
    const how = waiver === null ? notAcceptedWords(lapsed, watched?.waiver ?? null, known) : ''
    conditions.push({
      key,
      kind: 'path',
      cluster: id,
      since: episode.openedAt,
      line: cut(`${how}${isAgain ? 'again ' : ''}not encrypted ${since}: ${pathWords(path, id)}`),
      details: waiver === null ? detailsOf(path) : [],
      episode: episode.id,
      waiver,
      tellAgainAt: [],
    })
  }
  return conditions
}

const RULE = ['path-is-encrypted']

function acceptedBy(path: PathEpisode, cluster: string, { waivers, now }: AlertFacts): string | null {
  return waivers.problem === null ? waiverFor({ ...path, cluster }, RULE, waivers.all, now) : null
}

/** Of the waivers that accepted a path while it was open, the one that ended last. */
function lapsedWaiver(path: PathEpisode, cluster: string, { waivers, now }: AlertFacts): Waiver | undefined {
  return waivers.all
    .filter(
      (waiver) =>
        !isInForce(waiver, now) &&
        toSeconds(waiver.expires) > toSeconds(path.episode.openedAt) &&
        RULE.every((rule) => isAbout(waiver, { ...path, cluster }, rule)),
    )
    .toSorted((a, b) => toSeconds(a.expires) - toSeconds(b.expires))
    .at(-1)
}

/**
 * Why a formerly accepted path is no longer accepted.
 *
 * @param accepted id of the waiver that accepted it at the last look; null for none
 */
function notAcceptedWords(
  lapsed: Waiver | undefined,
  accepted: string | null,
  { facts: { waivers, now }, dates }: KnownFacts,
): string {
  if (waivers.problem !== null && accepted !== null)
    return `it cannot be read whether waiver ${printable(accepted)} still accepts it; `
  if (lapsed !== undefined && (accepted === null || accepted === lapsed.id))
    return `no longer accepted, waiver ${printable(lapsed.id)} ended ${dates.moment(lapsed.expires)}; `
  if (accepted === null) return ''
  const isKept = waivers.all.some((waiver) => waiver.id === accepted && isInForce(waiver, now))
  return `no longer accepted, waiver ${printable(accepted)} ${isKept ? 'is not about it any more' : 'was taken back'}; `
}

function detailsOf({ seen, ...path }: AlertPath): readonly string[] {
  if (seen === null) return []
  const fix = fixOf({ ...path, ...seen }) ?? ''
  return [
    `why: ${whyWords(seen)}`,
    ...fix
      .split('\n')
      .filter((line) => line !== '')
      // Commands keep their own lines, so that they can be pasted.
      .map((line, index) => `${index === 0 ? 'fix: ' : ''}${printable(line)}`),
  ].map(cut)
}

/** A path by both its ends, and its cluster. */
export function pathWords({ source, destination, port }: PathEpisode, cluster: string): string {
  const [from, to] = [endpointName(source), destinationName({ destination, port })].map(({ kind, pieces }) =>
    `${kind} ${pieces.join('')}`.trim(),
  )
  return `${from ?? ''} to ${to ?? ''} on cluster ${printable(cluster)}`
}
