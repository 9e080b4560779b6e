import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { podCoverage, ratioOf } from '../../../lib/assess/window/pod-coverage.ts'
import { factsOf } from '../../../lib/assess/pods/facts.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import type { Coverage } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed, evidenceOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod, timeAt } from '../../support/mesh/synthetic-pods.ts'
import { clearHttp, counts, every } from '../../support/mesh/synthetic-prometheus.ts'

/** The rows of a cluster with one more workload, which is scraped all the time. */
function rows(cluster: SyntheticCluster): Coverage[] {
  return assessed({ ...cluster, pods: [...cluster.pods, other] }).coverage.filter(
    ({ workload }) => workload.name !== 'other',
  )
}
const other = pod('deployment/other')

/** What was expected and seen of one pod, and its gaps as `reason from to`. */
function seen(changes: Partial<Pod>): [expected: number, observed: number, ratio: number | null, gaps: string[]] {
  const [row] = rows({ pods: [pod('deployment/web', changes)] })
  assert.ok(row !== undefined)
  const second = (time: string) => (Date.parse(time) - Date.parse(timeAt(0))) / 1000
  const gaps = row.gaps.map(({ reason, from, to }) => `${reason} ${second(from)} ${second(to)}`)
  return [row.expectedSeconds, row.observedSeconds, row.ratio, gaps]
}

const without =
  (from: number, to: number, how: 'none' | 'failure' = 'none') =>
  (time: number) =>
    time > from && time < to ? how : 'success'

describe('Coverage', () => {
  test('is whole for a pod that was scraped from before the window to after it', () => {
    assert.deepEqual(seen({}), [300, 300, 1, []])
  })

  test('counts the time between scrapes that are at most two intervals apart', () => {
    assert.deepEqual(seen({ scrape: without(100, 110) }), [300, 300, 1, []])
    assert.deepEqual(seen({ scrape: without(100, 120) }), [300, 270, 0.9, []])
  })

  test('has a gap where they are more than three apart', () => {
    assert.deepEqual(seen({ scrape: without(100, 130) }), [300, 260, 0.866667, ['not-a-target 95 135']])
  })

  test('begins and ends with the life of the pod in the window', () => {
    assert.deepEqual(seen({ from: 100 }), [200, 200, 1, []])
    assert.deepEqual(seen({ from: -10 }), [300, 300, 1, []])
    // Its target went away with it, soon after it was last scraped.
    assert.deepEqual(seen({ to: 200 }), [205, 195, 0.95122, ['ended-unscraped 195 205']])
  })

  test('lists what a pod did after its last scrape, which by itself keeps nothing from being covered', () => {
    const brief = (changes: Partial<Pod>) =>
      rows({ pods: [pod('deployment/web', changes)] })[0]?.gaps.map(({ isBrief }) => isBrief)
    assert.deepEqual(brief({ to: 200 }), [true])
    assert.deepEqual(brief({ to: 200, scrape: without(150, 400, 'failure') }), [undefined])
    // One that goes just after the window was not scraped again: the rest of the window is its last words, too.
    assert.deepEqual(seen({ to: 302 }).at(-1), ['ended-unscraped 295 300'])
    // One scrape sees what was before it, and nothing of what came after.
    assert.deepEqual(seen({ from: 50, to: 120, scrape: without(-1000, 110) }).at(-1), ['ended-unscraped 115 125'])
  })

  test('names why it was not seen', () => {
    const failed = without(50, 400, 'failure')
    assert.deepEqual(seen({ scrape: failed }), [300, 45, 0.15, ['scrape-failed 45 300']])
    assert.deepEqual(seen({ scrape: failed, policy: 'deny' }), [300, 45, 0.15, ['scrape-refused 45 300']])
    assert.deepEqual(seen({ scrape: () => 'none' }), [300, 0, 0, ['not-a-target 0 300']])
    const done = {
      containerStatuses: [],
      initContainerStatuses: [
        { name: 'linkerd-proxy', state: { terminated: { startedAt: timeAt(-600), finishedAt: timeAt(200) } } },
      ],
    }
    assert.deepEqual(seen({ scrape: without(100, 400), status: done }), [200, 95, 0.475, ['ended-unscraped 95 200']])
  })

  test('says that Prometheus was away where it scraped nobody', () => {
    const down = without(100, 200)
    const both = [pod('deployment/web', { scrape: down }), pod('deployment/api', { scrape: down })]
    const { coverage, collected } = assessed({ pods: both })
    assert.ok(collected)
    const reasons = coverage.flatMap(({ gaps }) => gaps.map(({ reason, pods }) => [reason, pods]))
    assert.deepEqual(reasons, [
      ['prometheus-down', 1],
      ['prometheus-down', 1],
    ])
  })

  test('of a pod that went while Prometheus was away, or could not reach it, goes on to the end', () => {
    const down = without(100, 400)
    const gone = assessed({
      pods: [pod('deployment/web', { to: 305, scrape: down }), pod('deployment/api', { scrape: down })],
    })
    assert.deepEqual(
      gone.coverage.map(({ expectedSeconds, gaps }) => [expectedSeconds, gaps.length]),
      [
        [300, 1],
        [300, 1],
      ],
    )
    assert.deepEqual(seen({ to: 305, scrape: without(100, 400, 'failure') }), [
      300,
      95,
      0.316667,
      ['scrape-failed 95 300'],
    ])
  })

  test('of a pod is not what answered at its address after it', () => {
    const pods = [
      pod('job/once', { ip: '10.8.0.1', to: 200, scrape: () => 'none' }),
      pod('deployment/web', { ip: '10.8.0.1', from: 205 }),
    ]
    assert.deepEqual(
      rows({ pods }).map(({ workload, expectedSeconds, observedSeconds, gaps, pods: { scraped } }) => [
        workload.name,
        expectedSeconds,
        observedSeconds,
        gaps.length,
        scraped,
      ]),
      [
        ['web', 95, 95, 0, 1],
        ['once', 205, 0, 1, 0],
      ],
    )
  })

  test('of a short pod that nobody scraped is a gap', () => {
    assert.deepEqual(seen({ from: 290, scrape: () => 'none' }), [10, 0, 0, ['not-a-target 290 300']])
  })

  test('cannot be told where Prometheus could not be asked', () => {
    const failed = { status: 'failed', errors: ['no'], prometheusTime: null, answers: [] } as const
    const result = assessed({ pods: [other], metrics: failed })
    assert.deepEqual([result.collected, result.coverage[0]?.ratio], [false, 0])
    assert.deepEqual(
      result.coverage[0]?.gaps.map(({ reason }) => reason),
      ['source-unreadable'],
    )
  })

  test('is null where nothing was expected, and sum over sum', () => {
    assert.equal(ratioOf(0, 0), null)
    assert.equal(ratioOf(10, 40), 0.25)
    const pods = [pod('deployment/web'), pod('deployment/web', { from: 200, scrape: () => 'none' })]
    const [row] = rows({ pods })
    assert.deepEqual([row?.expectedSeconds, row?.observedSeconds, row?.ratio], [400, 300, 0.75])
    assert.deepEqual(row?.pods, { total: 2, meshed: 2, scraped: 1 })
  })

  test('counts the pods without a proxy of a workload that has others, and no workload that has none', () => {
    const pods = [pod('deployment/web'), pod('deployment/web', { meshed: false })]
    assert.deepEqual(
      rows({ pods }).map((row) => [row.expectedSeconds, row.ratio, row.pods, row.gaps.map(({ reason }) => reason)]),
      [[600, 0.5, { total: 2, meshed: 1, scraped: 1 }, ['no-proxy']]],
    )
    assert.deepEqual(rows({ pods: [pod('deployment/bare', { meshed: false })] }), [])
  })

  test('lists a gap of several pods once', () => {
    const web = () => pod('deployment/web', { scrape: without(100, 200) })
    assert.deepEqual(
      rows({ pods: [web(), web()] })[0]?.gaps.map(({ pods }) => pods),
      [2],
    )
  })

  test('lists pods that only Prometheus knows by their scrapes', () => {
    const once = pod('job/once', { from: 100, to: 150 })
    const [row] = rows({ pods: [], unlisted: [once], counters: clearHttp(once, 80, [110]) })
    assert.deepEqual(row?.workload, { kind: 'job', namespace: 'shop', name: 'once' })
    assert.deepEqual([row?.expectedSeconds, row?.ratio, row?.pods], [40, 1, { total: 1, meshed: 1, scraped: 1 }])
  })
})

test('A pod is not read to its end over a gap in which Linkerd may have dropped what was idle', () => {
  const lists = listedOf(evidenceOf({ pods: [pod('deployment/web')] }).after?.lists ?? [], 0)
  const start = Date.parse(timeAt(0)) / 1000
  const facts = factsOf(lists, lists, { start, end: start + 3600 }, 'linkerd')
  const [web] = facts.pods
  assert.ok(web !== undefined)
  const isRead = (gap: number) => {
    const times = every(10, -100, 3700).filter((time) => time <= 600 || time >= 600 + gap)
    const scrapes = { times: times.map((time) => start + time), failed: [], interval: 10, processStarts: [] }
    const input = {
      start,
      end: start + 3600,
      facts,
      reusedAt: new Map(),
      anyScrape: scrapes.times,
      interval: 10,
      pagesOf: () => undefined,
      hasPrometheus: true,
    }
    return podCoverage(web, { ...input, readable: true, scrapesAt: () => [scrapes], scrapesNamed: () => [] })
      .isReadToItsEnd
  }
  assert.deepEqual([isRead(10), isRead(590), isRead(600), isRead(1000)], [true, true, false, false])
})

describe('A proxy that was lost unread', () => {
  const api = pod('deployment/api')
  const path = (web: Pod, restartedAt: number) => {
    const restarted = counts(web, 'process_start_time_seconds', {}, [])
    const start = Date.parse(timeAt(0)) / 1000
    const value = (time: number) => (time < restartedAt ? undefined : start + restartedAt)
    const server = clearHttp(api, 8080)
    const tls = { tls: 'true', server_id: 'api.shop' }
    const open = { on: web, name: 'tcp_open_connections', value: () => 1 }
    const labels = {
      direction: 'outbound',
      peer: 'dst',
      target_port: '8080',
      dst_namespace: 'shop',
      dst_deployment: 'api',
      ...tls,
    }
    const counters = [...server, { ...restarted, value }, { ...open, labels }]
    return assessed({ pods: [web, api], counters }).paths.find(({ source }) => source.kind === 'deployment')?.state
  }

  test('makes its source one that may have sent anything', () => {
    assert.equal(path(pod('deployment/web'), 201), 'mtls')
    assert.equal(path(pod('deployment/web', { scrape: without(100, 200) }), 160), 'unknown')
  })
})
