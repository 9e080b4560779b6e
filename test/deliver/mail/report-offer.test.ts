import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ReportOffer, hasAttachment, hasLink, reportLines } from '../../../lib/deliver/mail/report-offer.ts'
import { datesOf } from '../../../lib/time/dates.ts'
import { weekPeriod } from '../../../lib/time/week.ts'
import { findWeekReport } from '../../../lib/store/evidence/report-records.ts'
import { WEEK, keepPdf } from '../../support/deliver/kept-report.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const offers: fc.Arbitrary<ReportOffer> = fc.record({
  report: fc.oneof(
    fc.constantFrom('absent' as const, 'changed' as const),
    fc.record({
      period: fc.constantFrom(WEEK, { ...WEEK, timeZone: 'Asia/Kolkata' }),
      bytes: fc.oneof(fc.constantFrom(0, 4_999_999, 5_000_000, 5_000_001), fc.nat({ max: 20_000_000 })),
    }),
  ),
  linkUntil: fc.constantFrom(null, '2026-12-23T07:00:00Z'),
  hasPages: fc.boolean(),
  isAttached: fc.boolean(),
})

test('reportLines() says of a link and of an attachment what is so, whatever there is', () => {
  fc.assert(
    fc.property(offers, (offer) => {
      // A channel that wants neither is not asked.
      fc.pre(offer.linkUntil !== null || offer.isAttached)
      const said = reportLines(offer, 'UTC', datesOf(WEEK)).join('\n')
      assert.equal(/needs no login and works until Wed 23 Dec 2026 07:00\./.test(said), hasLink(offer), said)
      assert.equal(/is attached as a PDF of/.test(said), hasAttachment(offer), said)
      const isLacking = (offer.linkUntil !== null && !hasLink(offer)) || (offer.isAttached && !hasAttachment(offer))
      assert.equal(/is without|no link|not attached/.test(said), isLacking, said)
      const isElsewhere = typeof offer.report !== 'string' && offer.report.period.timeZone !== 'UTC'
      assert.equal(/of the same week in Asia\/Kolkata/.test(said), isElsewhere, said)
    }),
  )
})

test('hasAttachment() attaches up to 5 MB', () => {
  const offer = (bytes: number): ReportOffer => ({
    report: { period: WEEK, bytes },
    linkUntil: null,
    hasPages: true,
    isAttached: true,
  })
  assert.deepEqual([5_000_000, 5_000_001].map(offer).map(hasAttachment), [true, false])
})

/** Far from each other, at either side of the date line, with changes of the clock in spring and autumn of either half of the earth. */
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Pacific/Kiritimati',
  'Etc/GMT+12',
]

test('findWeekReport() finds the report of a week of one time zone for a channel of any other, in every week of years of 52 and 53', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ZONES),
      fc.constantFrom(...ZONES),
      fc.oneof(
        fc.constantFrom('2026-W01', '2026-W13', '2026-W43', '2026-W44', '2026-W53', '2027-W01'),
        fc.integer({ min: 1, max: 52 }).map((week) => `2027-W${String(week).padStart(2, '0')}`),
      ),
      async (kept, wanted, week) => {
        const objects = memoryObjects()
        const period = (timeZone: string) => ({ ...weekPeriod(week, timeZone), label: `Week ${week}`, timeZone })
        // One of another name is another one, whenever it ends.
        await keepPdf(objects, { ...period(kept), label: 'Week 1999-W01' })
        const key = await keepPdf(objects, period(kept))
        assert.equal((await findWeekReport(period(wanted), objects))?.key, key)
      },
    ),
    { numRuns: 150 },
  )
})
