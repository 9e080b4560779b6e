/** What is wrong and what was accepted: a risk for each path that was not encrypted, and one for each waiver. */
import type { Episode } from '../../model/history.ts'
import { idOf } from '../csv/csv-text.ts'
import { OWN_NAMES, stableUuid } from '../stable-uuid.ts'
import { isWaived } from '../summary/figures.ts'
import { type EpisodeSummary, openEpisodes } from '../summary/episode-summary.ts'
import { type Exposure, pathKey } from '../summary/path-summary.ts'
import { severityOf } from '../summary/severity.ts'
import type { Summary } from '../summary/summary.ts'
import { CAUSE_WORDS, ENDING_WORDS, capital, reasonWords } from '../words/vocabulary.ts'
import { pathObservation } from './observations.ts'
import { markup, prop } from './oscal-text.ts'
import { ORIGIN, pathName } from './subjects.ts'

const STATEMENT = 'Whoever can read the network between both ends may read what they exchange, or change it.'

/** All risks: unencrypted paths that no waiver accepts, then waivers. */
export function risks(summary: Summary): readonly object[] {
  const seen = new Set(summary.notEncrypted.map(pathKey))
  const open = openEpisodes(summary.episodes.all)
  const unseen = summary.episodes.all.filter((one) => one.episode.endedAt === null && !seen.has(pathKey(one)))
  const known = new Set(unseen.length === 0 ? [] : summary.paths.map(pathKey))
  return [
    ...summary.notEncrypted
      .filter((path) => !isWaived(path))
      .map((path) => exposureRisk(summary, path, path.isOpen || open.has(pathKey(path)))),
    ...unseen.map((one) => unseenRisk(summary, one, known.has(pathKey(one)))),
    ...summary.judgement.waivers.map((waiver) => waiverRisk(summary, waiver)),
  ]
}

/** The UUID of the risk of a path: the same in every report, so that a tool can follow it. */
const riskUuid = ({ cluster, pathId }: { readonly cluster: string; readonly pathId: string }): string =>
  stableUuid('risk', cluster, pathId)

function exposureRisk(summary: Summary, path: Exposure, isOpen: boolean): object {
  const uuid = riskUuid(path)
  const fixes = [...new Set(path.reasons.flatMap(({ fix }) => fix ?? []))]
  const ending = path.episodes.at(-1)?.ending ?? null
  const status = isOpen ? 'open' : closing(ending)
  const reasons = path.reasons.map(
    ({ reason, cause }) => `${reasonWords(reason)}${cause === null ? '' : `, cause: ${CAUSE_WORDS[cause]}`}`,
  )
  return {
    uuid,
    title: `Unencrypted path: ${markup(pathName(path))}`,
    description: markup(
      `${path.detail}. ${capital(reasons.join('; '))}${ending === null || isOpen ? '' : `. Ended: ${ENDING_WORDS[ending]}`}.`,
    ),
    statement: STATEMENT,
    props: [
      ...prop('state', path.mark),
      ...prop('since', path.since),
      ...prop('since-unknown', path.isSinceUnknown),
      ...prop('owner', summary.owners.get(pathKey(path))),
      ...prop('ending', isOpen ? null : ending),
    ],
    status,
    characterizations: [{ origin: ORIGIN, facets: [{ name: 'severity', system: OWN_NAMES, value: severityOf(path) }] }],
    ...(fixes.length === 0 || !isOpen
      ? {}
      : {
          remediations: fixes.map((fix) => ({
            uuid: stableUuid('fix', uuid, fix),
            lifecycle: 'recommendation',
            title: 'What would end it',
            description: fix.split('\n').map(markup).join('\n\n'),
          })),
        }),
    'related-observations': [{ 'observation-uuid': pathObservation(summary, path) }],
  }
}

/** Fixed or refused is closed. What only went quiet, or is gone, was not seen to be fixed. */
const closing = (ending: Episode['ending']): string =>
  ending === 'fixed' || ending === 'refused' ? 'closed' : 'investigating'

/** Open, and nobody saw the path in the period: it stays open. */
function unseenRisk(summary: Summary, one: EpisodeSummary, isKnown: boolean): object {
  return {
    uuid: riskUuid(one),
    title: `Unencrypted path: ${markup(pathName(one))}`,
    description: 'It was not encrypted when it was last seen, and it was not seen encrypted in the period.',
    statement: STATEMENT,
    props: [
      ...prop('since', one.episode.openedAt),
      ...prop('since-unknown', one.episode.sinceUnknown),
      ...prop('owner', summary.owners.get(pathKey(one))),
      ...prop('source', idOf(one.source)),
      ...prop('destination', idOf(one.destination)),
    ],
    status: 'open',
    ...(isKnown ? { 'related-observations': [{ 'observation-uuid': pathObservation(summary, one) }] } : {}),
  }
}

/** An exception as it was accepted. From its deadline on it accepts nothing. */
function waiverRisk(
  summary: Summary,
  { waiver, status, findings, isTooBroad }: Summary['judgement']['waivers'][number],
): object {
  const uuid = stableUuid('waiver', waiver.id)
  const accepted = summary.notEncrypted.filter(({ failures }) => failures.some((one) => one.waiver === waiver.id))
  return {
    uuid,
    title: `Waiver ${markup(waiver.id)}`,
    description: markup(`Reason: ${waiver.reason}`),
    statement: 'What it accepts stays a failure, and is counted as one.',
    props: [
      ...prop('waiver', waiver.id),
      ...prop('waiver-status', status),
      ...prop('owner', waiver.owner),
      ...prop('failures', findings),
      ...prop('too-broad', isTooBroad),
    ],
    status: status === 'expired' ? (findings > 0 ? 'open' : 'closed') : 'deviation-approved',
    'mitigating-factors': [
      { uuid: stableUuid('compensating-control', waiver.id), description: markup(waiver.compensatingControl) },
    ],
    deadline: waiver.expires,
    ...(accepted.length === 0
      ? {}
      : {
          'related-observations': accepted.map((path) => ({ 'observation-uuid': pathObservation(summary, path) })),
        }),
  }
}
