import assert from 'node:assert/strict'
import { test } from 'node:test'
import { comparedWithProbes } from '../../../lib/assess/probes/counts-as-probe.ts'
import type { Attribution } from '../../../lib/assess/ends/attribution.ts'
import type { Moved } from '../../../lib/assess/counters/counter-movement.ts'
import type { ProbedPod } from '../../../lib/assess/probes/expected-probes.ts'

/** A pod that began long before the window, with one probe each ten seconds. */
const POD: ProbedPod = {
  probes: [
    {
      container: 'app',
      port: 8080,
      kind: 'http',
      use: 'liveness',
      periodSeconds: 10,
      initialDelaySeconds: 0,
      failureThreshold: 3,
    },
  ],
  life: { from: -1000 },
  looks: [
    {
      takenAt: 400,
      isReady: true,
      since: -900,
      containers: [{ name: 'app', isReady: true, isStarted: true, startedAt: -1000, restarts: 0 }],
    },
  ],
}

const at: Attribution = {
  labels: {},
  instance: '10.0.0.1:4191',
  workload: { kind: 'deployment', namespace: 'shop', name: 'api' },
  pod: null,
  standing: 'confirmed',
  overridden: false,
}

/** The window is (0, 300]; the proxy was scraped each five seconds from 300 s before it on, the last time at 295. */
function compared(moved: Partial<Moved>, pods: readonly ProbedPod[] = [POD], isOnlyByRate = false): string {
  const times = Array.from({ length: 120 }, (_, index) => index * 5 - 300)
  const scrapes = { times, interval: 5, processStarts: [-1000], failed: [] }
  return comparedWithProbes(
    { count: 0, undated: 0, undatedAt: null, recent: 0, justBefore: false, ever: true, lastAt: 295, ...moved },
    pods,
    ({ port }) => port === 8080,
    {
      at,
      input: { start: 0, end: 300, answers: () => [], scrapes: new Map([[at.instance, scrapes]]), attribute: () => at },
      isOnlyByRate,
    },
  )
}

test('comparedWithProbes() says within up to what the schedule sends, perhaps for one that a restart of the kubelet adds, and more beyond', () => {
  // In 295 s: 30 at most by the schedule.
  assert.deepEqual(
    [0, 29, 30, 31, 32].map((count) => compared({ count })),
    ['within', 'within', 'within', 'perhaps', 'more'],
  )
})

test('comparedWithProbes() holds what cannot be dated against the life of the pod until it was seen', () => {
  // In the 1100 s until then: 111 by the schedule, and one more where the clock of its node is ahead.
  const seen = { undatedAt: 100, count: 20 }
  assert.equal(compared({ ...seen, undated: 112 }), 'within')
  assert.equal(compared({ ...seen, undated: 113 }), 'perhaps')
})

test('comparedWithProbes() says none where nothing is probed on the port, and more of what is far too little for it', () => {
  assert.equal(compared({ count: 1 }, []), 'none')
  assert.equal(compared({ count: 1 }, [{ ...POD, probes: [] }]), 'none')
  assert.deepEqual(
    [30, 20, 13, 1, 0].map((count) => compared({ count }, [POD], true)),
    ['within', 'perhaps', 'more', 'more', 'within'],
  )
})
