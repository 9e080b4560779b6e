import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { WindowResult } from '../../lib/model/window.ts'
import { toSeconds } from '../../lib/time/windows.ts'
import {
  EXCEPTIONS,
  type Finding,
  type StoryJudgement,
  askSimulated,
  judge,
  judgeStory,
  toldOf,
  windowsOf,
} from '../support/mesh/mesh-judge.ts'
import {
  COLLECTED_AFTER,
  type Change,
  type FlowPlan,
  PORTS,
  type Story,
  type WorkloadPlan,
  anyStory,
  endOf,
  healthyStory,
  meshOf,
} from '../support/mesh/mesh-stories.ts'
import { scrape } from '../support/mesh/simulated-scrapes.ts'
import { linesOf } from '../support/mesh/synthetic-cluster.ts'

const STORIES = Number(process.env['STORIES'] ?? 300)

/** What must never be found. */
function wrongOf({ findings }: StoryJudgement): Finding[] {
  return findings.filter(({ kind }) => kind === 'false' || kind === 'missed' || kind === 'false-alarm')
}

test(`${STORIES} random stories of a mesh are told without a false all-clear, a miss or a false alarm`, (context) => {
  const tally = new Map<string, number>()
  const count = (name: string, more = 1) => tally.set(name, (tally.get(name) ?? 0) + more)
  fc.assert(
    fc.property(anyStory(), (story) => {
      const judgement = judgeStory(story)
      count('clear', judgement.clear)
      count('mtls', judgement.mtls)
      for (const { kind } of judgement.findings) count(kind)
      assert.deepEqual(wrongOf(judgement), [])
    }),
    { numRuns: STORIES },
  )
  context.diagnostic(`path-windows: ${[...tally].map(([name, number]) => `${number} ${name}`).join(', ')}`)
  // Most of it is of stories with doubt in them: who left the mesh, what no scrape saw.
  assert.ok((tally.get('unknown') ?? 0) < 0.2 * (tally.get('mtls') ?? 0))
  for (const kind of EXCEPTIONS) assert.ok((tally.get(kind) ?? 0) < 0.05 * (tally.get('clear') ?? 0), kind)
})

/** As a look sees each window: with one list, taken just after it. */
function toldByLooks(story: Story): StoryJudgement {
  const mesh = meshOf(story)
  const scraped = scrape(mesh)
  const askAt = askSimulated(scraped)
  const told = windowsOf(story).flatMap(({ end }, index) => {
    const listedAt = [toSeconds(end) + COLLECTED_AFTER]
    return toldOf(story, mesh, { askAt, listedAt }).slice(index, index + 1)
  })
  return judge(story, { mesh, scraped, told })
}

const LOOKS = Math.ceil(STORIES / 10)

test(`${LOOKS} random stories are told without a false all-clear by the list of now alone`, (context) => {
  const tally = new Map<string, number>()
  const count = (name: string, more = 1) => tally.set(name, (tally.get(name) ?? 0) + more)
  fc.assert(
    fc.property(anyStory(), (story) => {
      const judgement = toldByLooks(story)
      count('clear', judgement.clear)
      count('mtls', judgement.mtls)
      for (const { kind } of judgement.findings) count(kind)
      assert.deepEqual(wrongOf(judgement), [])
    }),
    { numRuns: LOOKS },
  )
  context.diagnostic(`path-windows: ${[...tally].map(([name, number]) => `${number} ${name}`).join(', ')}`)
  assert.ok((tally.get('unknown') ?? 0) < 0.3 * (tally.get('mtls') ?? 0))
})

function plan(more: Partial<WorkloadPlan> = {}): WorkloadPlan {
  return {
    kind: 'deployment',
    meshed: true,
    pods: 1,
    probes: ['httpGet'],
    readyAfter: 1,
    initialDelaySeconds: 0,
    isClassic: false,
    sharesAccount: false,
    skipInbound: false,
    skipOutbound: false,
    changes: [],
    ...more,
  }
}

function change(what: Change['what'], at: number, more: Partial<Change> = {}): Change {
  return { at, what, isInjected: true, lasts: 60, ...more }
}

/** All the time, from the first workload to the second. */
function flow(more: Partial<FlowPlan> = {}): FlowPlan {
  return {
    from: 0,
    to: 1,
    port: PORTS[0],
    protocol: 'http',
    every: 10,
    since: -1500,
    until: Infinity,
    lasts: 0.3,
    ...more,
  }
}

function storyOf(workloads: readonly WorkloadPlan[], more: Partial<Story> = {}): Story {
  return {
    seed: 5,
    minutes: 15,
    windows: 2,
    interval: 10,
    workloads,
    flows: [flow()],
    hasCadvisor: true,
    hasEvents: false,
    lists: 'around',
    away: [],
    failing: [],
    late: [],
    clocks: [],
    ...more,
  }
}

/** What is said of a story, window by window; nothing in it may be wrong. */
function tell(story: Story): { readonly windows: readonly WindowResult[]; readonly findings: readonly Finding[] } {
  const mesh = meshOf(story)
  const scraped = scrape(mesh)
  const windows = toldOf(story, mesh, { askAt: askSimulated(scraped) })
  const judgement = judge(story, { mesh, scraped, told: windows })
  assert.deepEqual(wrongOf(judgement), [])
  return { windows, findings: judgement.findings }
}

/** The lines of a path in each window, without its ends. */
function saidOf({ windows }: { readonly windows: readonly WindowResult[] }, path: string): string[] {
  return windows.map(({ paths }) =>
    linesOf(paths)
      .filter((line) => line.startsWith(`${path} `))
      .map((line) => line.slice(path.length + 1))
      .join(),
  )
}

const PATH = 'deployment/web -> deployment/api:8080'

describe('Between two lists', () => {
  test('both ends may leave the mesh and come back, and their path is not mtls', () => {
    const changes = [change('leave', 200), change('join', 500)]
    const told = tell(storyOf([plan({ changes }), plan({ changes })]))
    assert.match(saidOf(told, PATH)[0] ?? '', /^unknown \((destination-not-seen|source-partly-unmeshed)/)
    assert.equal(saidOf(told, PATH)[1], 'mtls')
  })

  test('the injector may be away while pods are moved', () => {
    const changes = [change('move', 200, { isInjected: false, lasts: 300 })]
    const told = tell(storyOf([plan({ changes }), plan({ changes })]))
    assert.match(saidOf(told, PATH)[0] ?? '', /^unknown/)
    assert.deepEqual(
      told.windows[0]?.workloads.filter(({ namespace }) => namespace === 'shop').map(({ meshed }) => meshed),
      ['partly', 'partly'],
    )
  })

  test('one more pod of each end may come and go without a proxy', () => {
    const changes = [change('scale', 200, { isInjected: false, lasts: 400 })]
    assert.match(saidOf(tell(storyOf([plan({ changes }), plan({ changes })])), PATH)[0] ?? '', /^unknown/)
    // With a proxy, nothing is in doubt.
    const meshed = [change('scale', 200, { lasts: 400 })]
    const healthy = tell(storyOf([plan({ changes: meshed }), plan({ changes: meshed })]))
    assert.deepEqual(saidOf(healthy, PATH), ['mtls', 'mtls'])
    assert.deepEqual(healthy.findings, [])
  })

  test('a pod of a StatefulSet may be moved twice', () => {
    const moved = plan({ kind: 'statefulset', changes: [change('move', 90), change('move', 230)] })
    const healthy = tell(storyOf([plan(), moved], { minutes: 5 }))
    assert.deepEqual(saidOf(healthy, 'deployment/web -> statefulset/api:8080'), ['mtls', 'mtls'])
    // What the one in the middle sends in the clear is its own.
    const flows = [flow({ from: 1, to: 0, since: 120, until: 200 })]
    const told = tell(storyOf([plan({ meshed: false }), moved], { minutes: 5, flows }))
    assert.match(saidOf(told, 'statefulset/api -> deployment/web:8080')[0] ?? '', /^plaintext/)
  })
})

describe('What a short job does', () => {
  for (const interval of [10, 30, 60] as const)
    test(`is told, or its time is, where it is scraped every ${interval} s`, () => {
      const workloads = [plan({ kind: 'cronjob', probes: [] }), plan({ meshed: false, probes: [] })]
      for (const hasCadvisor of [true, false]) {
        const { windows } = tell(storyOf(workloads, { minutes: 5, windows: 3, interval, hasCadvisor, hasEvents: true }))
        for (const { coverage, paths } of windows) {
          const gaps = coverage.find(({ workload }) => workload.kind === 'cronjob')?.gaps ?? []
          assert.ok(gaps.length > 0 || paths.some(({ state }) => state === 'plaintext'))
        }
      }
    })
})

describe('Times that do not agree', () => {
  test('of samples that come late change nothing once the window is asked again', () => {
    const workloads = [plan({ meshed: false }), plan({ probes: ['httpGet', 'tcpSocket'] })]
    for (const by of [100, 280])
      for (const every of [10, 10_000]) {
        const late = [{ workload: 1, by }]
        const { windows } = tell(storyOf(workloads, { minutes: 5, late, flows: [flow({ every, since: 200 })] }))
        assert.match(linesOf(windows[0]?.paths ?? []).join(), /unmeshed -> deployment\/api:8080 (plaintext|unknown)/)
      }
  })

  test('of nodes whose clocks are wrong hide nothing and accuse nobody', () => {
    const workloads = [
      plan({ changes: [change('restart', 100), change('roll', 400)] }),
      plan({ probes: ['grpc'], changes: [change('restart', 300), change('move', 500)] }),
      plan({ meshed: false }),
      plan({ kind: 'cronjob', probes: ['httpGet'] }),
    ]
    const flows = [flow(), flow({ to: 2, every: 45 }), flow({ from: 3, to: 1 })]
    for (const clock of [-15, 15]) {
      const told = tell(storyOf(workloads, { minutes: 5, clocks: [clock, -clock, clock], flows }))
      assert.deepEqual(saidOf(told, PATH), ['mtls', 'mtls'])
    }
  })
})

test('probes of a process that is restarted stay probes, though it takes some with it', () => {
  for (const probes of [['grpc'], ['https']] as const) {
    const workloads = [plan(), plan({ probes, changes: [change('restart', 299), change('restart', 520)] })]
    const told = tell(storyOf(workloads, { interval: 30 }))
    assert.deepEqual(saidOf(told, 'probe -> deployment/api:8080'), Array(2).fill('exempt (probe, by its rate)'))
    assert.deepEqual(saidOf(told, 'unmeshed -> deployment/api:8080'), ['', ''])
  }
})

test('a healthy mesh is told as healthy from its first run on, at whatever minute it is registered', () => {
  const registered = fc.record({ seed: fc.nat(10_000), minute: fc.nat(59) })
  fc.assert(
    fc.property(registered, ({ seed, minute }) => {
      const story = healthyStory(seed)
      const mesh = meshOf(story)
      const scraped = scrape(mesh)
      // The list of the registration is the only one.
      const listedAt = [endOf(story) + minute * 60]
      const told = toldOf(story, mesh, { askAt: askSimulated(scraped), listedAt })
      const { mtls, findings } = judge(story, { mesh, scraped, told })
      const of = (kind: Finding['kind']) => findings.filter((finding) => finding.kind === kind)
      assert.deepEqual([of('false'), of('missed'), of('false-alarm')], [[], [], []])
      assert.ok(mtls > 150 && of('unknown').length < 0.02 * mtls, JSON.stringify(of('unknown')))
      // A connection in ten minutes may begin a series anew, with the value that it had: then it is quiet, which proves nothing.
      assert.ok(of('absent').length < 0.02 * mtls)
      for (const { workloads, paths } of told) {
        assert.deepEqual(
          workloads.map(({ meshed }) => meshed),
          Array(20).fill('yes'),
        )
        const states = new Set(paths.map(({ state }) => state))
        assert.deepEqual(
          [...states].filter((state) => state === 'plaintext' || state === 'no-mesh-tls'),
          [],
        )
      }
    }),
    { numRuns: Math.ceil(STORIES / 100) },
  )
})
