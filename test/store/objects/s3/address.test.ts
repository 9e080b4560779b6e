import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Temporal } from 'temporal-polyfill'
import {
  addressWarnings,
  parseAddress,
  formatStoreUrl,
  retainUntil,
  StoreAddressError,
} from '../../../../lib/store/objects/s3/address.ts'
import type { S3Address } from '../../../../lib/store/objects/s3/address.ts'
import { matchesText } from '../../../support/texts/matches-text.ts'

const DEFAULT_LOCK = { mode: 'governance', retention: { months: 13 } } as const

function parsed(text: string): S3Address {
  const address = parseAddress(text)
  assert.ok(address, `"${text}" is a directory`)
  return address
}

test('parseAddress() leaves directories to the directory store', () => {
  for (const text of [
    './data',
    '/var/lib/ct',
    'data',
    '',
    's3',
    's3data',
    'buckets/s3:x',
    'C:\\data',
    './s3://b/p',
    '..',
  ])
    assert.equal(parseAddress(text), undefined, text)
})

test('parseAddress() reads one place, and takes 13 months of governance where nothing is said', () => {
  const bucket = { bucket: 'acme-evidence', prefix: '' }
  assert.deepEqual(parsed('s3://acme-evidence'), { evidence: bucket, derived: bucket, lock: DEFAULT_LOCK })
  assert.deepEqual(parsed('s3://acme-evidence/'), parsed('s3://acme-evidence'))
  const place = { bucket: 'acme.evidence', prefix: 'a/b=c/' }
  assert.deepEqual(parsed('s3://acme.evidence/a/b=c'), { evidence: place, derived: place, lock: DEFAULT_LOCK })
  assert.deepEqual(parsed('s3://acme.evidence/a/b=c/'), parsed('s3://acme.evidence/a/b=c'))
})

test('parseAddress() reads a second place, with or without its scheme', () => {
  const expected = {
    evidence: { bucket: 'evidence', prefix: 'a/' },
    derived: { bucket: 'derived', prefix: 'b/c/' },
    lock: DEFAULT_LOCK,
  }
  for (const text of [
    'derived=derived/b/c',
    'derived=derived/b/c/',
    'derived=s3://derived/b/c',
    'derived=derived%2Fb%2Fc',
  ])
    assert.deepEqual(parsed(`s3://evidence/a?${text}`), expected, text)
  assert.equal(parsed('s3://one/a?derived=one/b').derived.prefix, 'b/')
})

test('parseAddress() reads how what is written once is locked', () => {
  const lockOf = (query: string) => parsed(`s3://evidence?${query}`).lock
  assert.deepEqual(lockOf('lock=compliance'), { mode: 'compliance', retention: { months: 13 } })
  assert.deepEqual(lockOf('retention=6-years'), { mode: 'governance', retention: { years: 6 } })
  assert.deepEqual(lockOf('retention=13-months'), DEFAULT_LOCK)
  assert.deepEqual(lockOf('lock=compliance&retention=400-days'), { mode: 'compliance', retention: { days: 400 } })
  assert.deepEqual(lockOf('retention=1-day'), { mode: 'governance', retention: { days: 1 } })
  assert.deepEqual(lockOf('retention=36500-days')?.retention, { days: 36_500 })
  assert.equal(lockOf('lock=none'), null)
})

const REFUSED: readonly string[] = [
  's3://',
  's3:bucket/prefix',
  's3:/bucket',
  'S3://bucket',
  'gs://bucket/prefix',
  'https://bucket.s3.amazonaws.com/x',
  'file:///var/lib/ct',
  's3://ab',
  's3://Bucket',
  's3://bucket_1',
  's3://bucket..one',
  's3://192.168.1.1/x',
  's3://-bucket',
  `s3://${'b'.repeat(64)}`,
  's3://bucket:9000/x',
  's3://arn:aws:s3:eu-west-1:123456789012:accesspoint/x',
  's3://bucket--euw1-az1--x-s3/x',
  's3://bucket//x',
  's3://bucket/x//',
  's3://bucket/../x',
  's3://bucket/.hidden',
  's3://bucket/a b',
  's3://bucket/a%20b',
  `s3://bucket/${'x/'.repeat(251)}`,
  's3://bucket#x',
  's3://bucket/x?derived=other#y',
  's3://bucket?derived=',
  's3://bucket?derived=a&derived=b',
  's3://bucket?evidence=other',
  's3://bucket?region=eu-west-1',
  's3://bucket?lock',
  's3://bucket?lock=GOVERNANCE',
  's3://bucket?lock=none&retention=6-years',
  's3://bucket?retention=0-days',
  's3://bucket?retention=36501-days',
  's3://bucket?retention=-1-days',
  's3://bucket?retention=1e3-days',
  's3://bucket?retention=12-months',
  's3://bucket/a?derived=bucket/a/b',
  's3://bucket/a/b?derived=bucket/a',
  's3://bucket?derived=bucket/a',
]

/** One line that says what is wanted; printable whatever was given. */
function assertRefused(text: string): string {
  let message = ''
  assert.throws(
    () => parseAddress(text),
    (error) => {
      assert.ok(error instanceof StoreAddressError)
      message = error.message
      return true
    },
    text,
  )
  assert.match(message, /^Cannot use store "[^\n]*, wanted a directory, s3:\/\/bucket\/prefix, or [^\n]*$/)
  assert.doesNotMatch(message, /\p{Cc}|\p{Cf}/u)
  assert.ok(message.length < 900, message)
  return message
}

for (const text of REFUSED) {
  test(`parseAddress() refuses "${text.slice(0, 60)}" in one line`, () => {
    matchesText(assertRefused(text))
  })
}

test('parseAddress() repeats nothing that may be a credential', () => {
  for (const text of [
    's3://AKIAEXAMPLE:hunter2/+x@bucket/prefix',
    's3://bucket/prefix?secret=hunter2',
    's3://bucket/prefix?lock=none#hunter2',
    'https://user:hunter2@minio/bucket',
    's3://bucket?derived=AKIA:hunter2@other',
    's3:hunter2@bucket',
  ])
    assert.doesNotMatch(assertRefused(text), /hunter2|AKIA/)
})

test('parseAddress() reads back every address that can be written, and refuses all else in one line', () => {
  const bucket = fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,20}[a-z0-9]$/).filter((name) => !name.endsWith('--x-s3'))
  const segment = fc.stringMatching(/^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,8}$/)
  const prefix = fc.array(segment, { maxLength: 4 }).map((parts) => parts.map((part) => `${part}/`).join(''))
  const place = fc.record({ bucket, prefix }, { noNullPrototype: true })
  const retention = fc.oneof(
    fc.constant({ months: 13 }),
    fc.constant({ years: 6 }),
    fc.integer({ min: 1, max: 36_500 }).map((days) => ({ days })),
  )
  const lock = fc.option(
    fc.record({ mode: fc.constantFrom('governance', 'compliance'), retention }, { noNullPrototype: true }),
  )
  fc.assert(
    fc.property(place, fc.option(place), lock, (evidence, derived, wanted) => {
      fc.pre(derived === null || derived.bucket !== evidence.bucket)
      const query = [
        ...(derived === null ? [] : [`derived=${formatStoreUrl(derived).slice('s3://'.length)}`]),
        ...(wanted === null ? ['lock=none'] : [`lock=${wanted.mode}`]),
        ...(wanted === null
          ? []
          : [
              `retention=${Object.entries(wanted.retention)
                .map(([unit, count]) => `${count}-${unit}`)
                .join('')}`,
            ]),
      ]
      const address = parsed(`${formatStoreUrl(evidence)}?${query.join('&')}`)
      assert.deepEqual(address, { evidence, derived: derived ?? evidence, lock: wanted })
    }),
  )

  const hostile = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc
      .array(
        fc.constantFrom(
          's3:',
          '/',
          '//',
          '?',
          '&',
          '=',
          '#',
          '@',
          '%2f',
          '..',
          '.',
          'bucket',
          'derived',
          'lock',
          'retention',
          '6-years',
          '\u001B[31m',
          '\n',
          '\u202E',
          ' ',
        ),
      )
      .map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(
      hostile,
      fc.constantFrom('', 's3:', 's3://', 's3://bucket/', 's3://bucket?', 's3://bucket?derived=', 's3://bucket?lock='),
      (text, before) => {
        let address
        try {
          address = parseAddress(before + text)
        } catch {
          assertRefused(before + text)
          return
        }
        if (address === undefined) return assert.doesNotMatch(before + text, /^s3:/i)
        for (const { bucket: name, prefix } of [address.evidence, address.derived]) {
          assert.match(name, /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/)
          assert.match(prefix, /^([A-Za-z0-9_=-][A-Za-z0-9._=-]*\/)*$/)
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('retainUntil() counts months and years by the calendar, in UTC', () => {
  const until = (retention: Parameters<typeof retainUntil>[0], now: string) =>
    retainUntil(retention, new Date(now)).toISOString()
  assert.equal(until({ months: 13 }, '2026-11-24T12:30:00.123Z'), '2027-12-24T12:30:00.123Z')
  assert.equal(until({ months: 13 }, '2027-01-31T00:00:00Z'), '2028-02-29T00:00:00.000Z')
  assert.equal(until({ years: 6 }, '2028-02-29T23:59:59Z'), '2034-02-28T23:59:59.000Z')
  assert.equal(until({ days: 1 }, '2027-03-27T22:30:00Z'), '2027-03-28T22:30:00.000Z')
})

test('addressWarnings() warns of what cannot be undone, of what is not locked and of one bucket for all', () => {
  assert.deepEqual(addressWarnings(parsed('s3://evidence/a?derived=derived/a')), [])
  const [compliance, ...rest] = addressWarnings(
    parsed('s3://evidence/a?derived=derived/a&lock=compliance&retention=6-years'),
  )
  matchesText(compliance)
  assert.deepEqual(rest, [])
  const lines = addressWarnings(parsed('s3://evidence?lock=none'))
  matchesText(lines[0])
  matchesText(lines[1])
})

test('retainUntil() counts as the calendar of Temporal does, at any time', () => {
  const retention = fc.oneof(
    fc.record({ days: fc.integer({ min: 1, max: 36_500 }) }),
    fc.record({ months: fc.integer({ min: 1, max: 240 }) }),
    fc.record({ years: fc.integer({ min: 1, max: 100 }) }),
  )
  const time = fc.date({ min: new Date('2000-01-01'), max: new Date('2200-01-01'), noInvalidDate: true })
  fc.assert(
    fc.property(retention, time, (kept, now) => {
      const zoned = Temporal.Instant.fromEpochMilliseconds(now.getTime()).toZonedDateTimeISO('UTC')
      assert.equal(retainUntil(kept, now).getTime(), zoned.add(kept).epochMilliseconds)
    }),
  )
})
