import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { alertContent } from '../../lib/deliver/alert-mail.ts'
import {
  type AlertFacts,
  type AlertState,
  type ClusterFacts,
  NO_ALERTS,
  decideAlerts,
} from '../../lib/deliver/alerts.ts'
import type { PathEpisode } from '../../lib/model.ts'
import { CHANNEL, HOSTILE } from '../support/mail-stories.ts'
import { episode, workload } from '../support/report-input.ts'

const at = (minutes: number): string =>
  new Date(Date.parse('2026-11-24T00:00:00Z') + minutes * 60_000).toISOString().replace('.000Z', 'Z')

const path = (opened: number, closed: number | null = null, more: Partial<PathEpisode> = {}): PathEpisode => ({
  pathId: '00000000c0de0001',
  source: workload('deployment', 'shop', 'web'),
  destination: workload('statefulset', 'bank', 'ledger'),
  port: 5432,
  episode: episode('00000000c0de0001', at(opened), closed === null ? null : at(closed)),
  ...more,
})

const cluster = (more: Partial<ClusterFacts> = {}): ClusterFacts => ({
  id: 'west',
  problem: null,
  episodes: [],
  windows: [1, 2, 3].map((hour) => ({ end: at(hour * 60), isObserved: true })),
  certificate: { expires: at(24 * 60), asOf: at(180) },
  trustAnchors: [{ subject: 'root', sha256: 'ab', notAfter: '2027-11-24T00:00:00Z' }],
  ...more,
})

const facts = (minutes: number, ...clusters: readonly ClusterFacts[]): AlertFacts => ({
  now: at(minutes),
  clusters,
  unsealed: null,
})

/** What is told, one look after the other. */
function told(looks: readonly AlertFacts[], channel = CHANNEL): readonly (string | null)[] {
  let state: AlertState = NO_ALERTS
  return looks.map((look) => {
    const decided = decideAlerts(channel, state, look)
    state = decided.state
    const { notice } = decided
    return notice === null
      ? null
      : [...notice.began.map(({ line }) => `+ ${line}`), ...notice.ended.map(({ line }) => `- ${line}`)].join('\n')
  })
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
    [
      '+ not encrypted since Tue 24 Nov 04:10: deployment shop/web to statefulset bank/ledger:5432 on cluster west',
      null,
      '- fixed: seen encrypted again, at Tue 24 Nov 06:00 after 1 h 50 min: deployment shop/web to statefulset bank/ledger:5432',
      null,
    ],
  ],
  [
    'a path that is back is told as that',
    [facts(200, cluster({ episodes: [path(10, 20), path(190)] }))],
    [
      '+ again not encrypted since Tue 24 Nov 04:10: deployment shop/web to statefulset bank/ledger:5432 on cluster west',
    ],
  ],
  [
    'what cannot be read ends nothing',
    [
      facts(200, cluster({ episodes: [path(190)] })),
      facts(210, cluster({ problem: 'it is damaged' })),
      facts(220, cluster({ episodes: [path(190)] })),
    ],
    [
      '+ not encrypted since Tue 24 Nov 04:10: deployment shop/web to statefulset bank/ledger:5432 on cluster west',
      '+ the history of cluster west cannot be read: it is damaged',
      '- over: the history of cluster west cannot be read: it is damaged',
    ],
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
        cluster({ windows: seen.map((isObserved, hour) => ({ end: at((hour + 1 + index) * 60), isObserved })) }),
      ),
    ),
    [
      null,
      '+ nothing was observed on cluster west after Tue 24 Nov 03:00',
      '- observed again after 3 h 20 min: nothing was observed on cluster west after Tue 24 Nov 03:00',
      null,
    ],
  ],
  [
    'a certificate that is not renewed, and one of which nothing is known any more',
    [
      facts(200, cluster({ certificate: { expires: at(250), asOf: at(180) } })),
      facts(210, cluster({ certificate: null })),
      facts(220, cluster()),
    ],
    [
      '+ the certificate of a proxy on cluster west ends 24 Nov 2026 05:10 and is not renewed',
      null,
      '- over: the certificate of a proxy on cluster west ends 24 Nov 2026 05:10 and is not renewed',
    ],
  ],
  [
    'a trust anchor with less than thirty days',
    [facts(200, cluster({ trustAnchors: [{ subject: 'root', sha256: 'ab', notAfter: '2026-12-20T00:00:00Z' }] }))],
    ['+ the trust anchor root of cluster west ends 20 Dec 2026 01:00'],
  ],
  [
    'a log that nobody seals',
    [{ ...facts(200, cluster()), unsealed: { since: at(0) } }, facts(210, cluster())],
    [
      '+ nothing was sealed since Tue 24 Nov 01:00: what is stored meanwhile can be changed unseen',
      '- over: nothing was sealed since Tue 24 Nov 01:00: what is stored meanwhile can be changed unseen',
    ],
  ],
  [
    'a cluster that leaves the channel is not told as fixed',
    [facts(200, cluster({ episodes: [path(190)] })), facts(210)],
    [
      '+ not encrypted since Tue 24 Nov 04:10: deployment shop/web to statefulset bank/ledger:5432 on cluster west',
      '- no longer watched, since the cluster left the channel: not encrypted since Tue 24 Nov 04:10: deployment shop/web to statefulset bank/ledger:5432 on cluster west',
    ],
  ],
]

for (const [name, looks, wanted] of cases) test(`decideAlerts(): ${name}`, () => assert.deepEqual(told(looks), wanted))

test('decideAlerts(): all that begins at one time is told in one notice', () => {
  const { notice } = decideAlerts(CHANNEL, NO_ALERTS, {
    ...facts(200, cluster({ episodes: [path(190), path(191, null, { pathId: 'x', episode: episode('x', at(191)) })] })),
    unsealed: { since: null },
  })
  assert.deepEqual(
    notice?.began.map(({ kind }) => kind),
    ['path', 'path', 'seal'],
  )
})

test('decideAlerts(): what comes and goes is told at most once in six hours, and is told then if it is so', () => {
  const lost = (minutes: number, isLost: boolean) =>
    facts(minutes, cluster({ windows: [1, 2].map((hour) => ({ end: at(hour), isObserved: !isLost })) }))
  const looks = Array.from({ length: 60 }, (_, index) => lost(index * 10, index % 2 === 0))
  const begins = told(looks).flatMap((one, index) => (one?.startsWith('+') === true ? [index * 10] : []))
  assert.deepEqual(begins, [0, 360])
  assert.deepEqual(
    told([lost(0, true), lost(10, false), lost(20, true), lost(359, true), lost(360, true)]).map(
      (one) => one?.slice(0, 1) ?? '',
    ),
    ['+', '-', '', '', '+'],
  )
})

test('decideAlerts(): what was there before the channel, or is of other namespaces, is not told', () => {
  const look = facts(200, cluster({ episodes: [path(190)] }))
  assert.deepEqual(told([look], { ...CHANNEL, addedAt: at(190) }), [null])
  assert.deepEqual(told([look], { ...CHANNEL, namespaces: ['care'] }), [null])
  assert.equal(told([look], { ...CHANNEL, namespaces: ['bank'] }).filter((one) => one !== null).length, 1)
})

test('decideAlerts(): whatever is seen, looking twice at the same tells nothing twice', () => {
  const anyCluster = fc.record({
    episodes: fc.subarray([
      path(10, 20),
      path(190),
      path(100, 150),
      path(160, null, { pathId: 'y', episode: episode('y', at(160)) }),
    ]),
    windows: fc
      .array(fc.boolean(), { maxLength: 4 })
      .map((seen) => seen.map((isObserved, hour) => ({ end: at(hour * 60), isObserved }))),
    problem: fc.constantFrom(null, null, 'it is damaged'),
    certificate: fc.constantFrom(null, { expires: at(250), asOf: at(180) }, { expires: at(2500), asOf: at(180) }),
  })
  fc.assert(
    fc.property(fc.array(anyCluster, { minLength: 1, maxLength: 6 }), (looks) => {
      let state: AlertState = NO_ALERTS
      const active = new Set<string>()
      for (const [index, one] of looks.entries()) {
        const look = facts(200 + index * 400, cluster(one))
        const first = decideAlerts(CHANNEL, state, look)
        for (const { key } of first.notice?.ended ?? [])
          assert.ok(active.delete(key), `${key} ends without a beginning`)
        for (const { key } of first.notice?.began ?? [])
          assert.ok(!active.has(key) && active.add(key), `${key} begins twice`)
        const second = decideAlerts(CHANNEL, first.state, look)
        assert.equal(second.notice, null)
        assert.deepEqual(second.state, first.state)
        state = first.state
      }
    }),
  )
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
  assert.equal(content.subject, '[everything] 8 paths not encrypted')
  const [text, html] = [content.text('https://ct.example.com/u'), content.html('https://ct.example.com/u')]
  for (const part of [text, html, content.json]) assert.doesNotMatch(part.replaceAll('\n', ''), /\p{C}/u)
  assert.doesNotMatch(html, /<img|<script|href="https:\/\/evil/)
  for (const { line } of notice.began) assert.ok(text.includes(line))
  assert.equal((JSON.parse(content.json) as { began: unknown[] }).began.length, 8)
  assert.match(text, /Unsubscribe from this channel:\nhttps:\/\/ct\.example\.com\/u/)
})
