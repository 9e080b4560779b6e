import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { namespaceKey } from '../../../lib/deliver/alert/conditions.ts'
import { cut } from '../../../lib/deliver/alert/condition-kinds.ts'
import { keepAlerts, readAlerts } from '../../../lib/deliver/alert/alert-state.ts'
import { alertContent } from '../../../lib/deliver/alert/alert-content.ts'
import {
  type AlertState,
  NO_ALERTS,
  type Notice,
  decideAlerts,
  isStale,
} from '../../../lib/deliver/alert/due-alerts.ts'
import type { Waiver } from '../../../lib/model/judgement.ts'
import { matchesGolden } from '../../support/golden.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { CHANNEL, HOSTILE } from '../../support/deliver/mail-stories.ts'
import { episode, workload } from '../../support/stored/report-input.ts'
import type { AlertFacts, AlertPath, ClusterFacts } from '../../../lib/deliver/alert/condition-kinds.ts'

const at = (minutes: number): string =>
  new Date(Date.parse('2026-11-24T00:00:00Z') + minutes * 60_000).toISOString().replace('.000Z', 'Z')

const path = (opened: number, closed: number | null = null, more: Partial<AlertPath> = {}): AlertPath => ({
  pathId: '00000000c0de0001',
  source: workload('deployment', 'shop', 'web'),
  destination: workload('statefulset', 'bank', 'ledger'),
  port: 5432,
  episode: episode('00000000c0de0001', at(opened), closed === null ? null : at(closed)),
  seen: null,
  ...more,
})

const cluster = (more: Partial<ClusterFacts> = {}): ClusterFacts => ({
  id: 'west',
  problem: null,
  firstLookAt: null,
  episodes: [],
  windows: [1, 2, 3].map((hour) => ({ end: at(hour * 60), isObserved: true, share: null })),
  namespaces: [],
  isListed: true,
  certificate: { expires: at(24 * 60), asOf: at(180), isOfAll: true },
  trustAnchors: [{ subject: 'root', sha256: 'ab', notAfter: '2027-11-24T00:00:00Z' }],
  ...more,
})

/** A namespace in its last two windows, of ten minutes each. */
const bank = (
  end: number,
  seen: readonly (boolean | null)[],
  { seenAt = null, share = null }: { readonly seenAt?: number | null; readonly share?: number | null } = {},
): ClusterFacts['namespaces'][number] => ({
  name: 'bank',
  windows: seen.map((isObserved, index) => ({ end: at(end - 10 * (seen.length - 1 - index)), isObserved, share })),
  seenAt: seenAt === null ? null : at(seenAt),
})

const dark = (...seen: readonly boolean[]): ClusterFacts['windows'] =>
  seen.map((isObserved, index) => ({ end: at((index + 2) * 60), isObserved, share: null }))

const ANCHOR = { subject: 'root', sha256: 'ab', notAfter: '2026-12-20T00:00:00Z' }

const facts = (minutes: number, ...clusters: readonly ClusterFacts[]): AlertFacts => ({
  now: at(minutes),
  clusters,
  waivers: { all: [], problem: null },
  scopeProblem: null,
  seal: { isBehind: false, since: at(minutes - 60) },
})

const waiver = (expires: string, more: Partial<Waiver> = {}): Waiver => ({
  id: 'ledger-until-spring',
  destination: 'statefulset/bank/ledger',
  owner: 'ada',
  reason: 'it is being replaced',
  compensatingControl: 'a network of its own',
  expires,
  ...more,
})

const withWaivers = (look: AlertFacts, ...all: readonly Waiver[]): AlertFacts => ({
  ...look,
  waivers: { all, problem: null },
})

/** The notices of a channel, one look after the other. */
function noticesOf(looks: readonly AlertFacts[], channel = CHANNEL): readonly (Notice | null)[] {
  let state: AlertState = NO_ALERTS
  return looks.map((look) => {
    const decided = decideAlerts(channel, state, look)
    state = decided.state
    return decided.notice
  })
}

/** What is told, one look after the other: `path began, coverage over`. The words of all cases are in one golden. */
function told(looks: readonly AlertFacts[], channel = CHANNEL): readonly (string | null)[] {
  return noticesOf(looks, channel).map((notice) =>
    notice === null
      ? null
      : [
          ...notice.began.map(({ kind }) => `${kind} began`),
          ...notice.ended.map(({ kind, ending }) => `${kind} ${ending}`),
        ].join(', '),
  )
}

const cases: readonly (readonly [name: string, looks: readonly AlertFacts[], wanted: readonly (string | null)[]])[] = [
  ['all is well: nothing', [facts(200, cluster()), facts(260, cluster())], [null, null]],
  [
    'a path is told once when it begins and once when it ends',
    [
      facts(200, cluster({ episodes: [path(190)] })),
      facts(260, cluster({ episodes: [path(190)] })),
      facts(320, cluster({ episodes: [path(190, 300)] })),
      facts(380, cluster({ episodes: [path(190, 300)] })),
    ],
    ['path began', null, 'path fixed', null],
  ],
  [
    'a path that is back is told as that',
    [facts(200, cluster({ episodes: [path(10, 20), path(190)] }))],
    ['path began'],
  ],
  [
    'what cannot be read ends nothing',
    [
      facts(200, cluster({ episodes: [path(190)] })),
      facts(210, cluster({ problem: 'it is damaged' })),
      facts(220, cluster({ episodes: [path(190)] })),
    ],
    ['path began', 'unreadable began', 'unreadable over'],
  ],
  [
    'a namespace of which nothing is observed is told on a cluster of which something is, and its end with how much',
    [
      facts(200, cluster({ namespaces: [bank(190, [true, false], { seenAt: 180 })] })),
      facts(210, cluster({ namespaces: [bank(200, [false, false], { seenAt: 180 })] })),
      facts(220, cluster({ namespaces: [bank(210, [false, false])] })),
      facts(230, cluster({ namespaces: [bank(220, [false, true], { seenAt: 220, share: 0.25 })] })),
    ],
    [null, 'namespace-coverage began', null, 'namespace-coverage over'],
  ],
  [
    'a namespace in which nothing is to be seen is no loss; where that is so by a list, what was told is not seen any more',
    [
      facts(200, cluster({ namespaces: [bank(190, [null, null])] })),
      facts(210, cluster({ namespaces: [bank(200, [false, false])] })),
      facts(220, cluster({ namespaces: [], isListed: false })),
      facts(230, cluster({ namespaces: [bank(220, [false, null])] })),
      facts(900, cluster({ namespaces: [bank(890, [false, false], { seenAt: 60 })] })),
      facts(910, cluster({ namespaces: [], windows: [{ end: at(900), isObserved: true, share: null }] })),
    ],
    [
      null,
      'namespace-coverage began',
      null,
      'namespace-coverage gone',
      'namespace-coverage began',
      'namespace-coverage gone',
    ],
  ],
  [
    'where nothing of a cluster is observed no namespace is told apart, and what is dark after it is',
    [
      facts(
        200,
        cluster({ windows: dark(true, false, false), namespaces: [bank(190, [false, false], { seenAt: 120 })] }),
      ),
      facts(
        260,
        cluster({ windows: dark(true, false, false, false), namespaces: [bank(250, [false, false], { seenAt: 120 })] }),
      ),
      facts(
        320,
        cluster({ windows: dark(true, false, false, true), namespaces: [bank(310, [false, false], { seenAt: 120 })] }),
      ),
    ],
    ['coverage began', null, 'namespace-coverage began, coverage over'],
  ],
  [
    'one window that is lost is none, two are, and one that is seen again ends it',
    [
      [true, true, false],
      [true, false, false],
      [false, false, true],
      [false, true, false],
    ].map((seen, index) =>
      facts(
        200 + index * 60,
        cluster({
          windows: seen.map((isObserved, hour) => ({ end: at((hour + 1 + index) * 60), isObserved, share: null })),
        }),
      ),
    ),
    [null, 'coverage began', 'coverage over', null],
  ],
  [
    'a certificate that is not renewed, and one of which nothing is known any more',
    [
      facts(200, cluster({ certificate: { expires: at(250), asOf: at(180), isOfAll: true } })),
      facts(210, cluster({ certificate: null })),
      facts(220, cluster()),
    ],
    ['certificate began', null, 'certificate over'],
  ],
  [
    'a trust anchor with less than thirty days',
    [facts(200, cluster({ trustAnchors: [{ subject: 'root', sha256: 'ab', notAfter: '2026-12-20T00:00:00Z' }] }))],
    ['trust-anchor began'],
  ],
  [
    'a trust anchor is told again a week and a day before its end, and at it, each once',
    ['2026-11-24', '2026-12-12', '2026-12-13', '2026-12-13', '2026-12-19', '2026-12-20', '2026-12-21'].map((day) => ({
      ...facts(200, cluster({ trustAnchors: [ANCHOR] })),
      now: `${day}T12:00:00Z`,
    })),
    ['trust-anchor began', null, 'trust-anchor began', null, 'trust-anchor began', 'trust-anchor began', null],
  ],
  [
    'a trust anchor that is still there is not told as gone, by a clock that went back',
    ['2026-11-24', '2026-11-10', '2026-11-24'].map((day) => ({
      ...facts(200, cluster({ trustAnchors: [ANCHOR] })),
      now: `${day}T12:00:00Z`,
    })),
    ['trust-anchor began', null, null],
  ],
  [
    'a certificate is not told as over where not every proxy was seen',
    [
      facts(200, cluster({ certificate: { expires: at(250), asOf: at(180), isOfAll: true } })),
      facts(210, cluster({ certificate: { expires: at(900), asOf: at(200), isOfAll: false } })),
    ],
    ['certificate began', 'certificate gone'],
  ],
  [
    'windows with nothing to see are no loss, and end none; what is seen of a part is told as that',
    [
      [true, null, null],
      [null, false, null],
      [true, false, false],
      [false, false, null],
      [false, null, true],
    ].map((seen, index) =>
      facts(
        200 + index * 60,
        cluster({
          windows: seen.map((isObserved, hour) => ({
            end: at((hour + 1 + index) * 60),
            isObserved,
            share: isObserved === true ? 0.031 : null,
          })),
        }),
      ),
    ),
    [null, null, 'coverage began', null, 'coverage over'],
  ],
  [
    'a log that nobody seals',
    [{ ...facts(200, cluster()), seal: { isBehind: true, since: at(0) } }, facts(210, cluster())],
    ['seal began', 'seal over'],
  ],
  [
    'a cluster that leaves the channel is not told as fixed',
    [facts(200, cluster({ episodes: [path(190)] })), facts(210)],
    ['path began', 'path not-watched'],
  ],
]

const openAt = (minutes: number) => facts(minutes, cluster({ episodes: [path(190)] }))

const foundAtFirst = (minutes: number, firstLookAt: string | null) =>
  facts(
    minutes,
    cluster({
      firstLookAt,
      episodes: [
        path(-30),
        path(-30, null, { pathId: 'x', episode: { ...episode('x', at(-30)), sinceUnknown: true } }),
      ],
    }),
  )

const firstLookCases: typeof cases = [
  [
    'what was in the clear when a cluster was first looked at is told, with no beginning where none is known',
    [foundAtFirst(260, at(195)), foundAtFirst(265, at(195))],
    ['path began, path began', null],
  ],
]

const waiverCases: typeof cases = [
  [
    'a path that a waiver accepts is not told, nor that the waiver will end soon',
    [withWaivers(openAt(200), waiver(at(205))), withWaivers(openAt(204), waiver(at(205)))],
    [null, null],
  ],
  [
    'a path whose waiver ends is told to begin, and why',
    [withWaivers(openAt(200), waiver(at(205))), withWaivers(openAt(210), waiver(at(205)))],
    [null, 'path began'],
  ],
  [
    'a path whose waiver is taken back, or is about something else, is told to begin, and why',
    [withWaivers(openAt(200), waiver(at(900))), openAt(210)],
    [null, 'path began'],
  ],
  [
    'a waiver that says something else by now accepts nothing',
    [
      withWaivers(openAt(200), waiver(at(900))),
      withWaivers(openAt(210), waiver(at(900), { destination: 'statefulset/bank/other' })),
    ],
    [null, 'path began'],
  ],
  [
    'a path that was told and is accepted then is told as accepted, and is not told as mended',
    [openAt(200), withWaivers(openAt(210), waiver(at(900))), withWaivers(openAt(220), waiver(at(900)))],
    ['path began', 'path waived', null],
  ],
  [
    'a path that was told, accepted and is not any more is told again when six hours are over',
    [openAt(200), withWaivers(openAt(210), waiver(at(215))), withWaivers(openAt(220), waiver(at(215))), openAt(560)],
    ['path began', 'path waived', null, 'path began'],
  ],
  [
    'a register that cannot be read accepts nothing, which is told with every path of it',
    [
      withWaivers(openAt(200), waiver(at(900))),
      { ...openAt(210), waivers: { all: [waiver(at(900))], problem: 'it is damaged' } },
      withWaivers(openAt(220), waiver(at(900))),
    ],
    [null, 'unreadable began, path began', 'unreadable over, path waived'],
  ],
  [
    'a scope that cannot be read is told as long as it is so',
    [{ ...openAt(200), scopeProblem: 'it is damaged' }, { ...openAt(210), scopeProblem: 'it is damaged' }, openAt(220)],
    ['unreadable began, path began', null, 'unreadable over'],
  ],
  [
    'a waiver of another rule, port or cluster accepts nothing',
    [
      withWaivers(
        openAt(200),
        waiver(at(900), { id: 'a', rules: ['path-is-mutual'] }),
        waiver(at(900), { id: 'b', port: 80 }),
        waiver(at(900), { id: 'c', cluster: 'east' }),
      ),
    ],
    ['path began'],
  ],
]

const lostAt = (minutes: number, ...seen: readonly boolean[]) =>
  facts(
    minutes,
    cluster({ windows: seen.map((isObserved, hour) => ({ end: at((hour + 1) * 60), isObserved, share: null })) }),
  )

const reviewCases: typeof cases = [
  [
    'a window that came late does not end that nothing is observed, and the last one does',
    [lostAt(190, true, false, false), lostAt(200, true, true, false), lostAt(250, true, true, false, true)],
    ['coverage began', null, 'coverage over'],
  ],
  [
    'a cluster that is registered again, whose windows are only the old ones, is not told as observed again',
    [lostAt(190, true, false, false), lostAt(200, true), lostAt(210)],
    ['coverage began', null, null],
  ],
  [
    'an episode that begins earlier, since a window came late, is the same',
    [openAt(200), facts(260, cluster({ episodes: [path(130)] })), facts(320, cluster({ episodes: [path(130, 300)] }))],
    ['path began', null, 'path fixed'],
  ],
  [
    'an episode that is not in the history any more is not told as mended',
    [openAt(200), facts(260, cluster())],
    ['path began', 'path not-watched'],
  ],
  [
    'a path that was mended and is back before anybody looked is told again, at most once in six hours',
    [
      openAt(200),
      facts(260, cluster({ episodes: [path(190, 220), path(230)] })),
      facts(600, cluster({ episodes: [path(190, 220), path(230, 300), path(400)] })),
    ],
    ['path began', null, 'path began'],
  ],
  [
    'a path that comes and goes is told at most once in six hours, though each time is an episode of its own',
    [
      openAt(200),
      facts(220, cluster({ episodes: [path(190, 210)] })),
      facts(240, cluster({ episodes: [path(190, 210), path(230)] })),
      facts(260, cluster({ episodes: [path(190, 210), path(230, 250)] })),
      facts(570, cluster({ episodes: [path(190, 210), path(230, 250), path(560)] })),
    ],
    ['path began', 'path fixed', null, null, 'path began'],
  ],
  [
    'a log of which nothing is known any more is not told as sealed',
    [
      { ...facts(200, cluster()), seal: { isBehind: true, since: at(0) } },
      { ...facts(210, cluster()), seal: null },
    ],
    ['seal began', null],
  ],
]

const all = [...cases, ...firstLookCases, ...waiverCases, ...reviewCases]

for (const [name, looks, wanted] of all) test(`decideAlerts(): ${name}`, () => assert.deepEqual(told(looks), wanted))

test('the lines of alerts say what began and how it ended', () => {
  const story = ([name, looks]: (typeof cases)[number]): string => {
    const lines = noticesOf(looks).map((notice, index) =>
      [
        `  ${looks[index]?.now ?? ''}`,
        ...(notice?.began ?? []).map(({ line }) => `    + ${line}`),
        ...(notice?.ended ?? []).map(({ line }) => `    - ${line}`),
      ].join('\n'),
    )
    return [name, ...lines].join('\n')
  }
  matchesGolden('alert/lines.txt', `${all.map(story).join('\n\n')}\n`)
})

test('decideAlerts(): what leaves a channel with its namespaces is told as not watched, never as over', () => {
  const look = (minutes: number) =>
    facts(minutes, cluster({ episodes: [path(190)], certificate: { expires: at(250), asOf: at(180), isOfAll: true } }))
  const first = decideAlerts(CHANNEL, NO_ALERTS, look(200))
  assert.equal(first.notice?.began.length, 2)
  const { notice } = decideAlerts({ ...CHANNEL, namespaces: ['care'] }, first.state, look(210))
  assert.deepEqual(
    notice?.ended.map(({ kind, ending }) => [kind, ending]),
    [
      ['certificate', 'not-watched'],
      ['path', 'not-watched'],
    ],
  )
  assert.match(
    alertContent(notice, CHANNEL, null).subject,
    /^\[everything\] no longer watched: 1 path not encrypted, 1 certificate/,
  )
})

test('decideAlerts(): a waiver that ends tells a path that was there before the channel, also where nobody remembers the waiver', () => {
  const channel = { ...CHANNEL, addedAt: at(195) }
  assert.deepEqual(told([openAt(200), withWaivers(openAt(210), waiver(at(205)))], channel), [null, 'path began'])
  assert.deepEqual(told([withWaivers(openAt(200), waiver(at(900))), openAt(210)], channel), [null, 'path began'])
})

test('decideAlerts(): a replay of years ahead keeps nobody from being told', () => {
  const ahead = decideAlerts(CHANNEL, NO_ALERTS, openAt(60_000_000)).state
  const closed = decideAlerts(CHANNEL, ahead, facts(200, cluster({ episodes: [path(190, 195)] }))).state
  assert.equal(decideAlerts(CHANNEL, closed, facts(300, cluster({ episodes: [path(290)] }))).notice?.began.length, 1)
})

test('decideAlerts(): a notice is for whoever was of the channel then', () => {
  const channel = { ...CHANNEL, recipients: ['r1', 'r2'], snsTopic: 'arn:aws:sns:eu-central-1:123456789012:alerts' }
  const { notice } = decideAlerts(channel, NO_ALERTS, openAt(200))
  assert.deepEqual(notice?.to.slice(0, 2), ['r1', 'r2'])
  assert.equal(notice.to.length, 3)
})

test('decideAlerts(): all that begins at one time is told in one notice', () => {
  const { notice } = decideAlerts(CHANNEL, NO_ALERTS, {
    ...facts(200, cluster({ episodes: [path(190), path(191, null, { pathId: 'x', episode: episode('x', at(191)) })] })),
    seal: { isBehind: true, since: null },
  })
  assert.deepEqual(
    notice?.began.map(({ kind }) => kind),
    ['seal', 'path', 'path'],
  )
})

test('decideAlerts(): what comes and goes is told at most once in six hours, and is told then if it is so', () => {
  const lost = (minutes: number, isLost: boolean) =>
    facts(minutes, cluster({ windows: [1, 2].map((hour) => ({ end: at(hour), isObserved: !isLost, share: null })) }))
  const looks = Array.from({ length: 60 }, (_, index) => lost(index * 10, index % 2 === 0))
  const begins = told(looks).flatMap((one, index) => (one === 'coverage began' ? [index * 10] : []))
  assert.deepEqual(begins, [0, 360])
  assert.deepEqual(told([lost(0, true), lost(10, false), lost(20, true), lost(359, true), lost(360, true)]), [
    'coverage began',
    'coverage over',
    null,
    null,
    'coverage began',
  ])
})

test('decideAlerts(): what was there before the channel, or is of other namespaces, is not told', () => {
  const look = facts(200, cluster({ episodes: [path(190)] }))
  assert.deepEqual(told([look], { ...CHANNEL, addedAt: at(190) }), [null])
  assert.deepEqual(told([look], { ...CHANNEL, namespaces: ['care'] }), [null])
  assert.equal(told([look], { ...CHANNEL, namespaces: ['bank'] }).filter((one) => one !== null).length, 1)
})

test('decideAlerts(): what was in the clear when a cluster was first looked at is told once, in one notice, to each channel that is as old as the first look or an hour younger', () => {
  const look = foundAtFirst
  for (const minutes of [0, 195, 255])
    assert.deepEqual(
      told([look(260, at(195)), look(265, at(195)), look(900, at(195))], { ...CHANNEL, addedAt: at(minutes) }),
      ['path began, path began', null, null],
      `added at ${minutes}`,
    )
  for (const firstLookAt of [at(195), null])
    assert.deepEqual(told([look(260, firstLookAt)], { ...CHANNEL, addedAt: at(256) }), [null])
})

test('decideAlerts(): that a cluster cannot be read is told to a channel of some namespaces, and nothing of it that is of others', () => {
  const look = facts(200, cluster({ problem: 'it is damaged', episodes: [path(190)] }))
  const certificate = { expires: at(250), asOf: at(180), isOfAll: true }
  for (const namespaces of [[], ['bank'], ['care']])
    assert.deepEqual(told([look], { ...CHANNEL, namespaces }), ['unreadable began'])
  const whole = facts(200, cluster({ certificate, trustAnchors: [ANCHOR] }))
  assert.deepEqual(told([whole], { ...CHANNEL, namespaces: ['bank'] }), [null])
})

/** What is told of a look, just within a limit and just beyond it. */
const limits: readonly (readonly [limit: string, within: AlertFacts[], beyond: AlertFacts[]])[] = [
  [
    'the same is told again after six hours',
    [openAt(200), facts(300, cluster({ episodes: [path(190, 290)] })), openAt(200 + 6 * 60 - 1)],
    [openAt(200), facts(300, cluster({ episodes: [path(190, 290)] })), openAt(200 + 6 * 60)],
  ],
  [
    'a certificate with two hours left when it was seen is renewed in time',
    [facts(200, cluster({ certificate: { expires: at(300), asOf: at(180), isOfAll: true } }))],
    [facts(200, cluster({ certificate: { expires: at(299), asOf: at(180), isOfAll: true } }))],
  ],
  [
    'a trust anchor is told with less than thirty days left',
    [{ ...facts(0, cluster({ trustAnchors: [ANCHOR] })), now: '2026-11-20T00:00:00Z' }],
    [{ ...facts(0, cluster({ trustAnchors: [ANCHOR] })), now: '2026-11-20T00:00:01Z' }],
  ],
]

for (const [limit, within, beyond] of limits)
  test(`decideAlerts(): ${limit}`, () => {
    assert.equal(told(within).at(-1), null)
    assert.match(told(beyond).at(-1) ?? '', /^[a-z-]+ began$/)
  })

test('decideAlerts() keeps notices for three days, and how to fix the first two hundred', () => {
  const { state } = decideAlerts(CHANNEL, NO_ALERTS, openAt(200))
  const keptAt = (minutes: number): number => decideAlerts(CHANNEL, state, openAt(minutes)).state.notices.length
  assert.deepEqual([keptAt(200 + 3 * 24 * 60 - 1), keptAt(200 + 3 * 24 * 60)], [1, 0])
  const seen = {
    state: 'plaintext',
    outcome: 'allowed',
    reason: 'no_tls_from_remote',
    cause: 'source-not-meshed',
  } as const
  const episodes = Array.from({ length: 201 }, (_, index) =>
    path(190, null, { pathId: `p${index}`, episode: episode(`p${index}`, at(190)), seen }),
  )
  const { notice } = decideAlerts(CHANNEL, NO_ALERTS, facts(200, cluster({ episodes })))
  assert.deepEqual(
    notice?.began.map(({ details }) => details.length > 0),
    [...Array.from({ length: 200 }, () => true), false],
  )
})

test('isStale() is so for whoever began to look before what was told last, less than an hour ago', () => {
  const { state } = decideAlerts(CHANNEL, NO_ALERTS, openAt(200))
  const outrun = [100, 140, 141, 199, 200, 201].map((minutes) => isStale(state, at(minutes)))
  assert.deepEqual(outrun, [false, false, true, true, false, false])
  assert.equal(isStale(NO_ALERTS, at(200)), false)
})

test('lines of alerts hold 600 characters, and names of namespaces 63', () => {
  for (const [most, shown] of [
    [600, cut],
    [63, (name: string) => namespaceKey('west', name).replace('coverage/west/', '')],
  ] as const) {
    assert.equal(shown('a'.repeat(most)), 'a'.repeat(most))
    assert.equal(shown('a'.repeat(most + 1)), `${'a'.repeat(most)} …`)
  }
})

/** What happens between two looks, and what is seen at the second. */
type Step = {
  readonly minutes: number
  /** Whether the path is open, and whether it was closed and opened again meanwhile. */
  readonly path: 'open' | 'closed' | 'reopened' | 'renamed'
  readonly ending: 'fixed' | 'refused' | 'gone' | 'quiet'
  readonly isWaived: boolean
  readonly seen: readonly boolean[]
  /** Of a namespace in the last two windows; undefined: it is among none. */
  readonly bank: readonly (boolean | null)[] | undefined
  readonly isListed: boolean
  readonly is: 'there' | 'unreadable' | 'removed'
  readonly certificate: 'good' | 'bad' | 'unknown'
  readonly seal: 'behind' | 'in-time' | 'unknown'
  readonly register: 'read' | 'damaged'
  readonly scope: 'read' | 'damaged'
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  minutes: fc.integer({ min: 1, max: 400 }),
  path: fc.constantFrom('open', 'open', 'closed', 'reopened', 'renamed'),
  ending: fc.constantFrom('fixed', 'refused', 'gone', 'quiet'),
  isWaived: fc.boolean(),
  seen: fc.array(fc.boolean(), { maxLength: 4 }),
  bank: fc.option(fc.array(fc.constantFrom(true, false, false, null), { minLength: 1, maxLength: 2 }), {
    nil: undefined,
  }),
  isListed: fc.boolean(),
  is: fc.constantFrom('there', 'there', 'there', 'unreadable', 'removed'),
  certificate: fc.constantFrom('good', 'bad', 'unknown'),
  seal: fc.constantFrom('behind', 'in-time', 'unknown'),
  register: fc.constantFrom('read', 'read', 'damaged'),
  scope: fc.constantFrom('read', 'read', 'damaged'),
})

/** The facts at the end of each step, of one path and everything else. */
function looksOf(steps: readonly Step[]): readonly AlertFacts[] {
  let now = 200
  let episodes: AlertPath[] = []
  return steps.map((step) => {
    const before = now
    now += step.minutes
    const open = episodes.find(({ episode: { endedAt } }) => endedAt === null)
    const others = episodes.filter((one) => one !== open)
    if (open !== undefined && (step.path === 'closed' || step.path === 'reopened')) {
      const endedAt = at(before + step.minutes / 3)
      episodes = [...others, { ...open, episode: { ...open.episode, endedAt, ending: step.ending } }]
    }
    if (open !== undefined && step.path === 'renamed') {
      const openedAt = new Date(Date.parse(open.episode.openedAt) - 1000).toISOString().replace('.000Z', 'Z')
      episodes = [...others, { ...open, episode: episode(open.pathId, openedAt) }]
    }
    if ((open === undefined && step.path === 'open') || (open !== undefined && step.path === 'reopened'))
      episodes = [...episodes, path(before + (2 * step.minutes) / 3)]
    const asOf = at(now)
    const certificates = {
      good: { expires: at(now + 600), asOf, isOfAll: true },
      bad: { expires: at(now + 60), asOf, isOfAll: true },
      unknown: null,
    }
    const west = cluster({
      episodes,
      problem: step.is === 'unreadable' ? 'it is damaged' : null,
      windows: step.seen.map((isObserved, index) => ({
        end: at(now - step.seen.length + index + 1),
        isObserved,
        share: null,
      })),
      namespaces:
        step.bank === undefined
          ? []
          : [
              {
                name: 'bank',
                windows: step.bank.map((isObserved, index) => ({
                  end: at(now - (step.bank?.length ?? 0) + index + 1),
                  isObserved,
                  share: null,
                })),
                seenAt: null,
              },
            ],
      isListed: step.isListed,
      certificate: certificates[step.certificate],
    })
    return {
      now: at(now),
      clusters: step.is === 'removed' ? [] : [west],
      waivers:
        step.register === 'damaged'
          ? { all: [], problem: 'it is damaged' }
          : { all: step.isWaived ? [waiver(at(1_000_000))] : [], problem: null },
      scopeProblem: step.scope === 'damaged' ? 'it is damaged' : null,
      seal: step.seal === 'unknown' ? null : { isBehind: step.seal === 'behind', since: at(before) },
    }
  })
}

/** Whether what is told to be over is over. */
function isOver(key: string, { clusters: [west], seal, waivers, scopeProblem }: AlertFacts): boolean {
  if (key === 'seal') return seal?.isBehind === false
  if (key === 'unreadable') return waivers.problem === null
  if (key === 'unreadable-scope') return scopeProblem === null
  if (west === undefined) return false
  if (key === 'unreadable/west') return west.problem === null
  if (west.problem !== null) return false
  if (key === 'coverage/west') return west.windows.at(-1)?.isObserved === true
  if (key === 'coverage/west/bank') return west.namespaces[0]?.windows.at(-1)?.isObserved === true
  if (key === 'certificate/west')
    return west.certificate !== null && toMinutes(west.certificate.expires) - toMinutes(west.certificate.asOf) >= 120
  return west.episodes.every(({ episode: { endedAt } }) => endedAt !== null)
}

/** Whether a list says that nothing is to be seen in the namespace. */
function isGone({ clusters: [west] }: AlertFacts): boolean {
  const [bank] = west?.namespaces ?? []
  return bank === undefined ? west?.isListed === true : bank.windows.at(-1)?.isObserved === null
}

/** What is so, whoever accepts it not. */
function isSo({ clusters: [west], seal, waivers, scopeProblem }: AlertFacts): readonly string[] {
  const open = west?.episodes.some(({ episode: { endedAt } }) => endedAt === null) === true
  const isRead = west?.problem === null
  return [
    ...(seal?.isBehind === true ? ['seal'] : []),
    ...(waivers.problem === null ? [] : ['unreadable']),
    ...(scopeProblem === null ? [] : ['unreadable-scope']),
    ...(west !== undefined && west.problem !== null ? ['unreadable/west'] : []),
    ...(isRead && west.windows.slice(-2).length === 2 && west.windows.slice(-2).every((one) => !one.isObserved)
      ? ['coverage/west']
      : []),
    // Of a cluster of which nothing is observed that is told of the whole.
    ...(isRead &&
    west.windows.at(-1)?.isObserved !== false &&
    west.namespaces.some(
      ({ windows }) => windows.length === 2 && windows.every(({ isObserved }) => isObserved === false),
    )
      ? ['coverage/west/bank']
      : []),
    ...(isRead &&
    west.certificate !== null &&
    !isOver('certificate/west', { clusters: [west] } as unknown as AlertFacts)
      ? ['certificate/west']
      : []),
    ...(isRead && open && waivers.all.length === 0 ? ['path/west/00000000c0de0001'] : []),
  ]
}

const toMinutes = (time: string): number => Date.parse(time) / 60_000

test('decideAlerts(): whatever happens, what is told to be over is, what lasts is told at least once and at most once in six hours, and looking twice tells nothing twice', () => {
  let [notices, lasting] = [0, 0]
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 25 }), (steps) => {
      let state: AlertState = NO_ALERTS
      // What a reader of all notices believes, and when each was told to begin.
      const believed = new Set<string>()
      const toldAt = new Map<string, number>()
      for (const look of looksOf(steps)) {
        const now = toMinutes(look.now)
        const { state: after, notice } = decideAlerts(CHANNEL, state, look)
        for (const { key, ending } of notice?.ended ?? []) {
          assert.ok(believed.delete(key), `${key} ends without a beginning`)
          if (ending === 'waived') assert.ok(look.waivers.all.length > 0, `${key} is accepted by nobody`)
          else if (ending === 'gone' && key === 'coverage/west/bank') assert.ok(isGone(look), `${key} may be there`)
          else if (ending !== 'not-watched') assert.ok(isOver(key, look), `${key} is told as ${ending}`)
          else assert.equal(look.clusters.length, 0, `${key} is watched`)
        }
        for (const { key } of notice?.began ?? []) {
          assert.ok(now - (toldAt.get(key) ?? -Infinity) >= 360, `${key} is told twice in six hours`)
          believed.add(key)
          toldAt.set(key, now)
        }
        for (const key of isSo(look)) {
          lasting += 1
          assert.ok(believed.has(key) || now - (toldAt.get(key) ?? -Infinity) < 360, `${key} is not told`)
        }
        const second = decideAlerts(CHANNEL, after, look)
        assert.equal(second.notice, null)
        assert.deepEqual(second.state, after)
        if (notice !== null) notices += 1
        state = after
      }
    }),
    { numRuns: 500 },
  )
  assert.ok(notices > 1000 && lasting > 1000, `${notices} notices, ${lasting} times something was so`)
})

test('readAlerts() gives back what keepAlerts() kept, and nothing of what is damaged or another channel was told', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 6 }), fc.nat(), async (steps, place) => {
      const objects = memoryObjects()
      let state: AlertState = NO_ALERTS
      let etag: string | null = null
      for (const look of looksOf(steps)) {
        state = decideAlerts(CHANNEL, state, look).state
        assert.equal(await keepAlerts(CHANNEL, state, etag, objects), true)
        const kept = await readAlerts(CHANNEL, objects)
        etag = kept.etag
        assert.equal(JSON.stringify(kept.state), JSON.stringify(state))
      }
      assert.equal(await keepAlerts(CHANNEL, state, 'another', objects), false)
      assert.deepEqual((await readAlerts({ ...CHANNEL, addedAt: at(0) }, objects)).state, NO_ALERTS)
      const body = Buffer.from((await objects.get('alerts/everything.json'))?.body ?? [])
      await objects.putIf('alerts/everything.json', body.subarray(0, place % body.length), etag)
      assert.deepEqual((await readAlerts(CHANNEL, objects)).state, NO_ALERTS)
    }),
  )
})

test('decideAlerts(): ten thousand paths at once are told in one notice that every way can carry', () => {
  const episodes = Array.from({ length: 10_000 }, (_, index) =>
    path(190, null, {
      pathId: `p${index}`,
      episode: episode(`p${index}`, at(190)),
      source: workload('deployment', 'shop', '<'.repeat(index % 300)),
    }),
  )
  const first = decideAlerts(CHANNEL, NO_ALERTS, facts(200, cluster({ episodes })))
  assert.equal(first.notice?.began.length, 10_000)
  const closed = episodes.map((one) => ({
    ...one,
    episode: { ...one.episode, endedAt: at(300), ending: 'fixed' as const },
  }))
  const second = decideAlerts(CHANNEL, first.state, facts(320, cluster({ episodes: closed })))
  assert.equal(second.notice?.ended.length, 10_000)
  for (const notice of [first.notice, second.notice]) {
    const content = alertContent(notice, CHANNEL, 'https://ct.example.com')
    assert.ok(Buffer.byteLength(content.json) < 256 * 1024)
    assert.ok(Buffer.byteLength(content.html('https://ct.example.com/u')) < 80_000)
    assert.match(content.text(null), /9,9\d\d more are not shown here\./)
  }
})

test('alertContent() says the same in every form, and no name does anything', () => {
  const episodes = HOSTILE.map((name, index) =>
    path(190, null, {
      pathId: `p${index}`,
      episode: episode(`p${index}`, at(190 + index)),
      source: workload('deployment', name, name),
    }),
  )
  const { notice } = decideAlerts(CHANNEL, NO_ALERTS, facts(200, cluster({ episodes })))
  assert.ok(notice)
  const content = alertContent(notice, CHANNEL, 'https://ct.example.com')
  assert.equal(content.subject, '[everything] 8 paths not encrypted (cluster west)')
  const [text, html] = [content.text('https://ct.example.com/u'), content.html('https://ct.example.com/u')]
  for (const part of [text, html, content.json]) assert.doesNotMatch(part.replaceAll('\n', ''), /\p{C}/u)
  assert.doesNotMatch(html, /<img|<script|href="https:\/\/evil/)
  for (const { line } of notice.began) assert.ok(text.includes(line))
  assert.equal((JSON.parse(content.json) as { began: unknown[] }).began.length, 8)
  assert.match(text, /Unsubscribe from this channel:\nhttps:\/\/ct\.example\.com\/u/)
})
