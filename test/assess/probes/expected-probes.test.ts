import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type ProbedPod, fewestProbes, probesWithin } from '../../../lib/assess/probes/expected-probes.ts'
import { type ProbeLook, type Probe, probesOf } from '../../../lib/assess/probes/declared-probes.ts'

const LIVENESS: Probe = {
  container: 'app',
  port: 8080,
  kind: 'http',
  use: 'liveness',
  periodSeconds: 10,
  initialDelaySeconds: 0,
  failureThreshold: 3,
}
const READINESS: Probe = { ...LIVENESS, use: 'readiness' }
const STARTUP: Probe = { ...LIVENESS, use: 'startup', failureThreshold: 30, periodSeconds: 2 }

type Shown = Partial<Omit<ProbeLook, 'containers'> & ProbeLook['containers'][number]>

/** A list as it shows the container `app`: started long ago, and ready since then, unless it says otherwise. */
function look(takenAt: number, changes: Shown = {}): ProbeLook {
  const { isReady = true, since = -3600, isStarted = true, startedAt = -3600, restarts = 0 } = changes
  return { takenAt, isReady, since, containers: [{ name: 'app', isReady, isStarted, startedAt, restarts }] }
}

function within(probes: readonly Probe[], looks: readonly ProbeLook[], span = { from: 0, to: 300 }, lifeFrom = -3600) {
  const { usual, most } = probesWithin({ probes, looks, life: { from: lifeFrom } }, span, () => true)
  return [usual, most]
}

const READY = [look(60), look(360)]

test('probesOf() looks up a named port in its own container, and knows what a probe speaks', () => {
  const container = (name: string, containerPort: number, probe: object) => ({
    name,
    ports: [{ name: 'http', containerPort }],
    readinessProbe: probe,
  })
  const probes = probesOf([
    container('app', 8080, { httpGet: { port: 'http' } }),
    container('side', 9090, { httpGet: { port: 'http', scheme: 'HTTPS' }, periodSeconds: 5, initialDelaySeconds: 7 }),
    container('third', 7070, { grpc: { port: 50051 }, failureThreshold: 9 }),
    container('fourth', 7071, { tcpSocket: { port: 'other' } }),
    container('fifth', 7072, {}),
  ])
  assert.deepEqual(
    probes.map(({ container: name, port, kind, periodSeconds }) => [name, port, kind, periodSeconds]),
    [
      ['app', 8080, 'http', 10],
      ['side', 9090, 'https', 5],
      ['third', 50051, 'grpc', 10],
      ['fourth', 0, 'tcp', 10],
      ['fifth', 0, 'exec', 10],
    ],
  )
  assert.deepEqual(
    [probes[1]?.initialDelaySeconds, probes[2]?.failureThreshold, probes[0]?.failureThreshold],
    [7, 9, null],
  )
})

describe('probesWithin()', () => {
  test('counts the beats of the schedule, and one more', () => {
    assert.deepEqual(within([LIVENESS, READINESS], READY), [62, 62])
    // A kubelet that is restarted is one more where the span is no whole number of periods.
    assert.deepEqual(within([{ ...LIVENESS, periodSeconds: 7 }], READY), [43, 44])
    assert.deepEqual(within([LIVENESS], READY, { from: 0, to: 0 }), [0, 0])
    assert.deepEqual(within([LIVENESS], READY, { from: 0.003, to: 299.998 }), [31, 31])
  })

  test('counts none before the initial delay has passed', () => {
    const young = [look(360, { startedAt: 5, since: 5 })]
    assert.deepEqual(within([{ ...LIVENESS, initialDelaySeconds: 240 }], young, { from: 5, to: 300 }, 5), [6, 9])
    assert.deepEqual(within([{ ...LIVENESS, initialDelaySeconds: 600 }], young, { from: 5, to: 300 }, 5), [0, 0])
    assert.deepEqual(within([{ ...LIVENESS, initialDelaySeconds: 240 }], READY), [31, 31])
  })

  test('leaves room for the clock of the node, which tells when a young container began, as a doubt', () => {
    const young = [look(360, { startedAt: 100, since: 100 })]
    assert.deepEqual(within([LIVENESS], young, { from: 100, to: 300 }, 100), [21, 22])
    const old = [look(360, { startedAt: -100, since: -100 })]
    assert.deepEqual(within([LIVENESS], old, { from: 100, to: 300 }, -100), [21, 21])
  })

  test('counts no other probe while the startup probe has not succeeded', () => {
    const starting = [look(60, { isStarted: false, isReady: false }), look(360, { isStarted: false, isReady: false })]
    const [usual] = within([{ ...STARTUP, failureThreshold: 5000 }, LIVENESS, READINESS], starting)
    assert.equal(usual, 151)
  })

  test('counts no more startup probes than the container may fail, and none of one that has started', () => {
    const young = { startedAt: 10, since: 10 }
    assert.deepEqual(within([STARTUP], [look(360, young)], { from: 10, to: 300 }, 10), [30, 30])
    assert.deepEqual(within([STARTUP], READY), [0, 0])
    // A list without the threshold: ten minutes, in which a container that never gets ready has no more.
    const never = [look(60, { isReady: false, isStarted: null }), look(360, { isReady: false, isStarted: null })]
    assert.deepEqual(within([{ ...STARTUP, failureThreshold: null }], never), [0, 0])
  })

  test('takes a container for starting for ten minutes, where no list says how long it took', () => {
    const span = { from: 0, to: 1000 }
    const young = { startedAt: 0, since: 0, isStarted: null }
    assert.deepEqual(within([{ ...STARTUP, failureThreshold: null }], [look(1060, young)], span, 0), [301, 301])
    // Ready, and nobody says since when.
    const ready = (takenAt: number) => within([READINESS], [look(takenAt, { ...young, since: null })], span, 0)
    assert.deepEqual([ready(1060)[0], ready(60)[0]], [101 + 10 + 3, 101 + 1 + 3])
  })

  test('leaves room while a pod is not ready, and no more', () => {
    const unready = { isReady: false, since: -200 }
    assert.deepEqual(within([READINESS], [look(60, unready), look(360, unready)]), [39, 69])
    const [usual, most] = within([READINESS], [look(60, unready), look(360, { since: 120 })])
    assert.deepEqual([usual, most], [36, 48])
    assert.deepEqual(within([LIVENESS], [look(60, unready), look(360, unready)]), [31, 31])
    // Of another container's readiness nothing follows for sure.
    const beside = [look(60), look(360)].map((one) => ({ ...one, isReady: false, since: -3000 }))
    assert.deepEqual(within([READINESS], beside), [31, 39])
    // A list that does not say since when leaves it open.
    assert.deepEqual(within([READINESS], [look(60, { since: null }), look(360, { since: null })]), [31, 39])
  })

  test('counts each start of a container', () => {
    const again = [look(60), look(360, { restarts: 2, startedAt: 200, since: 230 })]
    const [usual] = within([READINESS], again)
    assert.ok(usual !== undefined && usual >= 31 + 9)
    assert.deepEqual(within([STARTUP], again), [60, 60])
  })
})

test('fewestProbes() counts what was surely sent', () => {
  const fewest = (probes: readonly Probe[], looks: readonly ProbeLook[]) =>
    fewestProbes({ probes, looks, life: { from: -3600 } }, { from: 0, to: 300 }, () => true)
  assert.equal(fewest([LIVENESS, READINESS], READY), 58)
  assert.equal(fewest([{ ...LIVENESS, initialDelaySeconds: 60 }], [look(360, { startedAt: 100, since: 100 })]), 13)
  assert.equal(fewest([STARTUP, LIVENESS], [look(360, { startedAt: 100, isStarted: true })]), 0)
  assert.equal(fewest([LIVENESS], [look(360, { startedAt: null })]), 0)
})

/** The kubelet as its probe worker runs: a ticker for each probe, which a sync of an unready pod sets anew after it probed at once. */
function sentByKubelet({
  probe,
  start,
  phase,
  readyAt,
  syncs,
  restart,
}: {
  readonly probe: Probe
  readonly start: number
  readonly phase: number
  readonly readyAt: number
  readonly syncs: readonly number[]
  readonly restart: number | null
}): number[] {
  const sent: number[] = []
  const send = (time: number) => {
    if (time >= start + probe.initialDelaySeconds) sent.push(time)
  }
  let next = start + phase
  const triggers = [...syncs.filter((time) => time < readyAt && probe.use === 'readiness'), Infinity]
  let restartAt = restart ?? Infinity
  while (next < 400) {
    const [sync = Infinity] = triggers
    const time = Math.min(next, sync, restartAt)
    if (time === restartAt) {
      restartAt = Infinity
      next = time + phase * probe.periodSeconds
    } else {
      send(time)
      next = time + probe.periodSeconds
      if (time === sync) triggers.shift()
    }
  }
  return sent
}

test('the kubelet never sends more than it is allowed, and fewer only where it may', () => {
  const story = fc.record({
    period: fc.integer({ min: 1, max: 60 }),
    delay: fc.constantFrom(0, 0, 15, 240),
    use: fc.constantFrom('liveness' as const, 'readiness' as const),
    start: fc.integer({ min: -3000, max: 250 }),
    phase: fc.double({ min: 0, max: 1, noNaN: true }),
    readyAfter: fc.constantFrom(1, 1, 70, 400, 100_000),
    syncEvery: fc.array(fc.integer({ min: 60, max: 90 }), { minLength: 60, maxLength: 60 }),
    restart: fc.option(fc.integer({ min: 1, max: 299 })),
    since: fc.boolean(),
  })
  fc.assert(
    fc.property(story, ({ period, delay, use, start, phase, readyAfter, syncEvery, restart, since }) => {
      const probe = { ...LIVENESS, use, periodSeconds: period, initialDelaySeconds: delay }
      const readyAt = start + readyAfter
      // A container that starts is looked at three times soon after.
      const syncs = [start + 0.3, start + 1.1]
      for (const seconds of syncEvery) syncs.push((syncs.at(-1) ?? start) + seconds)
      const sent = sentByKubelet({ probe, start, phase, readyAt, syncs, restart })
      const count = sent.filter((time) => time > 0 && time <= 300).length
      const shown = (takenAt: number) =>
        look(takenAt, {
          startedAt: start,
          isReady: takenAt >= readyAt,
          since: since ? (takenAt >= readyAt ? readyAt : start) : null,
        })
      const looks = [60, 360].filter((time) => time >= start).map(shown)
      const pod: ProbedPod = { probes: [probe], looks, life: { from: start } }
      const span = { from: Math.max(0, start), to: 300 }
      const { usual, most } = probesWithin(pod, span, () => true)
      assert.ok(usual <= most)
      assert.ok(count <= most, `${count} of ${usual} to ${most}`)
      if (restart === null && since) assert.ok(count <= usual, `${count} of ${usual}`)
      if (restart === null) assert.ok(count >= fewestProbes(pod, span, () => true))
    }),
    { numRuns: 3000 },
  )
})
