import { stableUuid } from '../stable-uuid.ts'
import { reportId } from '../summary/report-id.ts'
import type { Summary } from '../summary/summary.ts'
import { OSCAL_VERSION, markup, prop, withProps } from './oscal-text.ts'

/** What stands on top of an OSCAL document of a report. Its time is the end of the period: the same evidence gives the same bytes. */
export function metadata(summary: Summary, title: string): object {
  const { period, settings, version } = summary
  const organisation = partyOf(settings.organisation, 'organization')
  const preparedBy = partyOf(settings.preparedBy, 'person')
  const parties = [...organisation, ...preparedBy]
  return {
    title: markup(`${title}: encryption between services, ${period.label}`),
    'last-modified': period.to,
    version: reportId(summary),
    'oscal-version': OSCAL_VERSION,
    ...withProps(...prop('ciphertrail-version', version), ...prop('replay', summary.replay)),
    ...(preparedBy.length === 0 ? {} : { roles: [{ id: 'prepared-by', title: 'Prepared by' }] }),
    ...(parties.length === 0 ? {} : { parties }),
    ...(preparedBy.length === 0
      ? {}
      : { 'responsible-parties': [{ 'role-id': 'prepared-by', 'party-uuids': preparedBy.map(({ uuid }) => uuid) }] }),
  }
}

function partyOf(
  name: string | null,
  type: 'organization' | 'person',
): readonly { readonly uuid: string; readonly type: string; readonly name: string }[] {
  const [named] = prop('name', name)
  if (named === undefined) return []
  return [{ uuid: stableUuid('party', type, named.value), type, name: named.value }]
}
