/** The register of accepted exceptions, as it stood at the end of the period. */
import type { Waiver, WaiverResult } from '../../model/judgement.ts'
import { durationWords } from '../../time/dates.ts'
import { breakable, printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { lines, nameCell, number, table } from '../table-cells.ts'
import { countWords, plural, WAIVER_WORDS } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'

/** Each waiver, with what it accepts. */
export function waiversSection(wording: Wording): SectionView {
  const { waivers } = wording.summary.judgement
  const of = (status: WaiverResult['status']): string =>
    countWords(waivers.filter((waiver) => waiver.status === status).length)
  return section('waivers', 'Waivers', {
    paragraphs:
      waivers.length === 0
        ? ['No waiver was declared.']
        : [
            `${plural(waivers.length, 'waiver')}: ${of('in-use')} in use, ${of('expiring')} expiring within 14 days, ${of('unused')} unused, ${of('expired')} expired. A waived failure is still listed and counted as a failure. An expired waiver accepts nothing.`,
          ],
    tables:
      waivers.length === 0
        ? []
        : [
            table(
              'Waivers with scope, owner and expiry.',
              [
                ['Waiver', 15],
                ['Covers', 25],
                ['Owner, reason, compensating control', 34],
                ['Until', 16],
                ['Failures', 10, 'numbers'],
              ],
              waivers.map((one) => [
                nameCell({ kind: '', pieces: breakable(printable(one.waiver.id)) }),
                lines(coverWords(one.waiver)),
                lines(
                  [printable(one.waiver.owner)],
                  [
                    `Reason: ${printable(one.waiver.reason)}`,
                    `Compensating control: ${printable(one.waiver.compensatingControl)}`,
                  ],
                ),
                lines(statusWords(wording, one)),
                number(one.status === 'expired' ? `0 of ${countWords(one.findings)}` : countWords(one.findings)),
              ]),
            ),
          ],
  })
}

function coverWords({ cluster, rules, source, destination, port }: Waiver): readonly string[] {
  return [
    cluster === undefined ? 'every cluster' : `cluster ${printable(cluster)}`,
    ...(source === undefined ? [] : [`from ${printable(source)}`]),
    ...(destination === undefined ? ['every destination'] : [`to ${printable(destination)}`]),
    ...(port === undefined ? ['every port'] : [`port ${port}`]),
    rules === undefined ? 'every rule' : printable(rules.join(', ')),
  ]
}

function statusWords({ dates, summary }: Wording, { waiver, status, isTooBroad }: WaiverResult): readonly string[] {
  const left = (Date.parse(waiver.expires) - Date.parse(summary.period.to)) / 1000
  return [
    dates.full(waiver.expires),
    `${WAIVER_WORDS[status]}${left > 0 ? `, ${durationWords(left)} left` : ''}`,
    ...(isTooBroad ? ['too broad'] : []),
  ]
}
