import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { observedPeriod } from '../../../lib/assess/judge/workload-observed-share.ts'
import { seenOfCluster, seenOfPath, seenOfPort, seenOfWorkload, seenWindows } from '../../../lib/assess/judge/seen.ts'
import type { Seen } from '../../../lib/model/judgement.ts'
import type { BlindSpot, Workload } from '../../../lib/model/window.ts'
import type { State } from '../../../lib/model/path.ts'
import { UNMESHED } from '../../support/stored/judged-period.ts'
import { workload } from '../../support/stored/report-input.ts'
import {
  type Shown,
  type ShownPath,
  hoursOf,
  resultsOf,
  scraped,
  watchedPeriod,
} from '../../support/stored/watched-period.ts'

const WEB = workload('deployment', 'shop', 'web')
const DB = workload('deployment', 'shop', 'db')

type By = Parameters<typeof seenOfPath>[1]

/** What was seen of the path in windows that showed this. */
function seen(
  shown: readonly Shown[],
  by: By = 'either-end',
  ends: ShownPath = {},
  period = hoursOf(shown.length),
): Seen {
  const { source = WEB, destination = DB, port = 80 } = ends
  const strip = shown.map(({ state = 'mtls', isMissing }): State => (isMissing === true ? 'not-collected' : state))
  return seenOfPath({ source, destination, port, strip }, by, seenWindows(watchedPeriod(shown, ends), period))
}

const quiet: Shown = { state: 'not-observed' }

/** Of one end, with the other never scraped: what it can tell of the path alone. */
const alone = (end: 'web' | 'db', changes: Partial<Workload>): Shown => ({
  ...quiet,
  web: scraped(0),
  db: scraped(0),
  [end]: { workload: changes },
})
const spot = (kind: BlindSpot['kind'], port: string | null = null): Partial<Workload> => ({
  blindSpots: [{ kind, port, detail: '' }],
})

test('an end counts if each of its pods had a proxy and nothing of this path goes around it', () => {
  const cases: readonly (readonly [what: string, share: number, shown: Shown])[] = [
    ['the client', 1, alone('web', {})],
    ['the server', 1, alone('db', {})],
    ['a port that the client skips', 0, alone('web', spot('skip-outbound', '80'))],
    ['whatever port the client skips: it is that of a Service', 0, alone('web', spot('skip-outbound', '443'))],
    ['what comes in to the client', 1, alone('web', spot('skip-inbound', '80'))],
    ['the port that the server skips', 0, alone('db', spot('skip-inbound', '80'))],
    ['a range with the port', 0, alone('db', spot('skip-inbound', '25,79-81'))],
    ['another port that the server skips', 1, alone('db', spot('skip-inbound', '81'))],
    ['what goes out of the server', 1, alone('db', spot('skip-outbound', '80'))],
    ['a subnet around the client', 0, alone('web', spot('skip-subnet'))],
    ['a subnet around the server', 0, alone('db', spot('skip-subnet'))],
    ['IPv6 around the client', 0, alone('web', spot('ipv6'))],
    ['IPv6 around the server', 0, alone('db', spot('ipv6'))],
    ['an opaque port', 1, alone('db', spot('opaque-port', '80'))],
    ['labels that take a name', 0, alone('web', { overriding: ['tls'] })],
    ['a pod without a proxy', 0, alone('web', { meshed: 'partly' })],
    ['no pod with a proxy', 0, alone('db', { meshed: 'no' })],
    ['pods of which nothing is known', 0, alone('web', { meshed: 'unknown' })],
    ['a pod that no list shows', 0, alone('db', spot('pod-unknown'))],
    [
      'fewer proxies than pods',
      0,
      { ...quiet, web: { coverage: { pods: { total: 2, meshed: 1, scraped: 1 } } }, db: scraped(0) },
    ],
    ['no coverage', 0, { ...quiet, web: { coverage: { expectedSeconds: 0, observedSeconds: 0 } }, db: scraped(0) }],
    [
      'series of it that nobody can attribute',
      0,
      { ...alone('db', {}), changes: { overridden: ['deployment/shop/db'] } },
    ],
  ]
  for (const [what, share, shown] of cases) assert.equal(seen([shown]).share, share, what)
})

test('a path is seen by its better end, what both must tell by the worse one, and a port by its own proxies', () => {
  const partly: Shown = { web: scraped(2700), db: scraped(900) }
  assert.deepEqual(
    (['either-end', 'both-ends', 'destination'] as const).map((by) => seen([partly], by).share),
    [0.75, 0.25, 0.25],
  )
  const period = seenWindows(watchedPeriod([partly, { db: scraped(0) }]), hoursOf(2))
  assert.equal(seenOfPort({ workload: DB, port: 80 }, period).share, 0.125)
  assert.equal(seenOfPort({ workload: WEB, port: 80 }, period).share, 0.875)
})

test('an end outside the cluster, without a name or in another cluster tells nothing: the other does alone', () => {
  const [web, db]: readonly Shown[] = [{ db: scraped(0) }, { web: scraped(0) }]
  assert.ok(web && db)
  const external = { destination: workload('external', '', 'tax.example') }
  const unnamed = { source: UNMESHED }
  const far = { destination: { ...DB, cluster: 'east' } }
  const account = { source: workload('serviceaccount', 'shop', 'web') }
  const shares = (ends: ShownPath) => [web, db].map((shown) => seen([shown], 'either-end', ends).share)
  assert.deepEqual(shares(external), [1, 0])
  assert.deepEqual(shares(unnamed), [0, 1])
  assert.deepEqual(shares(far), [1, 0])
  assert.deepEqual(shares(account), [0, 1])
  assert.equal(seen([{}], 'both-ends', external).share, 0)
  assert.equal(seen([{}], 'either-end', { ...external, ...unnamed }).share, 0)
})

test('nothing is seen in a window that was not collected, that nobody can tell, or whose metrics were read in part', () => {
  const cases: readonly (readonly [what: string, share: number, shown: Shown])[] = [
    ['not collected', 0, { isMissing: true }],
    ['an attempt without metrics', 0, { ...quiet, changes: { collected: false } }],
    ['unknown', 0, { state: 'unknown' }],
    ['unknown although an end is gone', 0, { state: 'unknown', web: null }],
    ['quiet in part of the metrics', 0, { ...quiet, changes: { partial: true } }],
    ['told by part of the metrics', 1, { changes: { partial: true } }],
    ['clear', 1, { state: 'plaintext' }],
    ['exempt', 1, { state: 'exempt' }],
  ]
  for (const [what, share, shown] of cases) {
    const { share: told, windows, seenWindows: count } = seen([shown])
    assert.deepEqual([told, windows, count], [share, 1, share], what)
  }
  assert.equal(seen([{ isMissing: true }]).uncollected, 1)
})

test('time in which complete lists show no pod of an end is no life, and any other time is', () => {
  const absent: Shown = { ...quiet, db: null }
  const { share, windows, unseenSeconds } = seen([{}, absent, absent, { isMissing: true }])
  assert.deepEqual([share, windows, unseenSeconds], [0.5, 2, 3600])
  assert.deepEqual([seen([absent]).share, seen([absent]).windows], [null, 0])
  assert.equal(seen([{}, { ...absent, isListed: false }]).share, 1, 'without lists the client tells that it is quiet')
  assert.deepEqual(
    seen([{}, { ...quiet, isListed: false, web: null, db: null }]).share,
    0.5,
    'nobody listed, nobody read',
  )
  assert.equal(seen([{ web: null }]).windows, 1, 'who was heard of had a pod')
  const shown = [{}, absent, {}]
  const period = seenWindows(watchedPeriod(shown), hoursOf(3))
  assert.equal(seenOfWorkload(DB, period).windows, 2)
  assert.equal(seenOfWorkload(WEB, period).windows, 3)
  assert.equal(seenOfWorkload(workload('deployment', 'shop', 'other'), period).share, null)
})

test('time in which no window was expected is life that nobody saw', () => {
  const { from } = hoursOf(4)
  const [, , , late] = [1, 2, 3, 4].map((count) => hoursOf(count).to)
  assert.ok(late)
  const { share, outsideSeconds, unseenSeconds, uncollected } = seen([{}], 'either-end', {}, { from, to: late })
  assert.deepEqual([share, outsideSeconds, unseenSeconds, uncollected], [0.25, 3 * 3600, 3 * 3600, 0])
  const period = seenWindows(watchedPeriod([{}]), { from, to: late })
  assert.equal(seenOfCluster(period.windows, period).share, 0.25)
  const absent = seen([{ ...quiet, db: null }], 'either-end', {}, { from, to: late })
  assert.deepEqual([absent.share, absent.outsideSeconds], [null, 0])
})

test('a workload is seen for the time in which lists that agree told of its pods, whatever was scraped', () => {
  const shown: Shown[] = [
    { db: scraped(0) },
    { db: { workload: { meshed: 'no' } } },
    { db: { workload: { meshed: 'unknown' } } },
    { isMissing: true },
  ]
  const { share, windows, uncollected } = seenOfWorkload(DB, seenWindows(watchedPeriod(shown), hoursOf(4)))
  assert.deepEqual([share, windows, uncollected], [0.5, 4, 1])
})

test('without facts nothing was seen', () => {
  const { facts: _, ...without } = watchedPeriod([{}, {}])
  const period = seenWindows(without, hoursOf(2))
  const strip: State[] = ['mtls', 'mtls']
  assert.equal(seenOfPath({ source: WEB, destination: DB, port: 80, strip }, 'either-end', period).share, 0)
  assert.equal(seenOfWorkload(WEB, period).share, 0)
})

const anyEnd = fc.constantFrom(undefined, undefined, null, scraped(1800), scraped(0))
const anyShown: fc.Arbitrary<Shown> = fc
  .record({
    state: fc.constantFrom<State>('mtls', 'mtls', 'not-observed', 'unknown', 'plaintext'),
    isMissing: fc.constantFrom(false, false, false, true),
    isListed: fc.constantFrom(true, true, false),
    web: anyEnd,
    db: anyEnd,
  })
  .map(({ web, db, ...shown }) => ({
    ...shown,
    ...(web === undefined ? {} : { web }),
    ...(db === undefined ? {} : { db }),
  }))
const anyWindows = fc.array(anyShown, { minLength: 1, maxLength: 20 })

test('a share is between none and all, both ends see no more than either, and the sums agree', () => {
  fc.assert(
    fc.property(anyWindows, fc.nat(5), (shown, more) => {
      const period = hoursOf(shown.length + more)
      const [either, both, destination] = (['either-end', 'both-ends', 'destination'] as const).map((by) =>
        seen(shown, by, {}, period),
      )
      assert.ok(either && both && destination)
      for (const told of [either, both]) {
        const {
          share,
          windows,
          seenWindows: count,
          partWindows: part,
          uncollected,
          unseenSeconds,
          outsideSeconds,
        } = told
        if (share === null) {
          assert.deepEqual([windows, count, part, unseenSeconds, outsideSeconds], [0, 0, 0, 0, 0])
          continue
        }
        // Windows that count add up to the seen time: the whole ones wholly, the others in part.
        const seenHours = windows - unseenSeconds / 3600 + outsideSeconds / 3600
        assert.ok(count - part <= seenHours + 1e-6 && seenHours <= count + 1e-6)
        assert.equal(part === 0, Math.abs(seenHours - count) < 1e-6)
        assert.ok(share >= 0 && share <= 1)
        assert.ok(count + uncollected <= windows)
        const life = windows * 3600 + outsideSeconds
        assert.ok(Math.abs(share * life + unseenSeconds - life) < 1e-6)
      }
      assert.ok((both.share ?? 0) <= (either.share ?? 0))
    }),
  )
})

test('the order in which windows were collected changes nothing that was seen', () => {
  fc.assert(
    fc.property(
      anyWindows.chain((shown) =>
        fc.tuple(
          fc.constant(shown),
          fc.shuffledSubarray(
            shown.map((_, at) => at),
            { minLength: shown.length },
          ),
        ),
      ),
      ([shown, order]) => {
        const results = resultsOf(shown)
        const places = new Map(order.map((place, index) => [index, place]))
        const shuffled = results
          .map((result, index) => ({ result, place: places.get(index) ?? 0 }))
          .toSorted((a, b) => a.place - b.place)
          .map(({ result }) => result)
        const made = watchedPeriod(shown)
        assert.ok(made.facts)
        const [was, is] = [results, shuffled].map((all) =>
          seenWindows(
            {
              ...made,
              facts: {
                ...made.facts,
                listedWindows: 0,
                workloads: [],
                identities: [],
                crypto: [],
                observed: observedPeriod(all),
              },
            },
            hoursOf(shown.length),
          ),
        )
        assert.ok(was && is)
        const strip = shown.map(({ state = 'mtls' }) => state)
        const path = { source: WEB, destination: DB, port: 80, strip }
        assert.deepEqual(seenOfPath(path, 'either-end', is), seenOfPath(path, 'either-end', was))
        assert.deepEqual(seenOfWorkload(DB, is), seenOfWorkload(DB, was))
      },
    ),
  )
})
