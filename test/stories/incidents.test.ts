import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WindowResult } from '../../lib/model/window.ts'
import type { SimulatedMesh, SimulatedPod } from '../support/mesh/simulated-mesh.ts'
import { askSimulated, toldOf } from '../support/mesh/mesh-judge.ts'
import { type Story, healthyStory, meshOf, startOf } from '../support/mesh/mesh-stories.ts'
import { scrape } from '../support/mesh/simulated-scrapes.ts'

/** What the windows of a healthy mesh say in which something happens that every cluster meets; lists are taken after each. */
function tellHealthy(seed: number, more: Partial<Story>, change: (mesh: SimulatedMesh, story: Story) => SimulatedMesh) {
  const story: Story = { ...healthyStory(seed), lists: 'around', ...more }
  const mesh = change(meshOf(story), story)
  return { mesh, windows: toldOf(story, mesh, { askAt: askSimulated(scrape(mesh)) }) }
}

/** How many paths between workloads have each state and reason. */
function statesOf({ paths }: WindowResult): Record<string, number> {
  const told = paths.filter(({ state }) => state !== 'exempt').map(({ state, reason }) => `${state} ${reason}`.trim())
  return Object.fromEntries([...Map.groupBy(told, (one) => one)].map(([one, all]) => [one, all.length]))
}

const HOUR = 3600

for (const seed of [1, 2, 3]) {
  test(`a restart of Prometheus puts no path in doubt, and an outage of ten minutes all of them (seed ${seed})`, () => {
    const away = [
      { at: HOUR + 1300, lasts: 90 },
      { at: 2 * HOUR + 1500, lasts: 600 },
      { at: 4 * HOUR - 40, lasts: 90 },
    ]
    const { windows } = tellHealthy(seed, { away }, (mesh) => mesh)
    const [before, restart, outage, untilRestart, afterRestart] = windows
    assert.ok(before && restart && outage && untilRestart && afterRestart)
    for (const one of [before, restart, untilRestart, afterRestart]) assert.deepEqual(statesOf(one), { mtls: 34 })
    assert.deepEqual(statesOf(outage), { 'unknown destination-not-seen': 34 })
    const isDown = outage.coverage.filter(({ gaps }) => gaps.some(({ reason }) => reason === 'prometheus-down'))
    assert.ok(isDown.length >= outage.coverage.length - 1, 'all but one that may be rolled meanwhile')
    for (const { ratio } of restart.coverage) assert.ok(ratio !== null && ratio > 0.95 && ratio < 1)
    for (const { ratio } of isDown) assert.ok(ratio !== null && ratio > 0.8 && ratio < 0.85)
  })

  test(`a lost node puts in doubt only paths with both ends on it (seed ${seed})`, () => {
    let lost: ReadonlySet<SimulatedPod> = new Set()
    const { windows } = tellHealthy(seed, {}, (mesh, story) => {
      const at = startOf(story) + 2 * HOUR + 1000
      lost = new Set(
        mesh.pods.filter(
          ({ node, created, ended, workload: { name } }) =>
            node === 'node-2' && created < at && ended > at && name !== 'prometheus',
        ),
      )
      return withLostPods(mesh, lost, at)
    })
    assert.ok(lost.size > 3)
    const names = new Set([...lost].map(({ workload: { name } }) => name))
    const [before, , during] = windows
    assert.ok(before && during)
    assert.deepEqual(statesOf(before), { mtls: 34 })
    const told = during.paths.filter(({ state }) => state !== 'exempt')
    const unknown = told.filter(({ state }) => state === 'unknown')
    assert.ok(unknown.length > 0 && unknown.length < told.length / 2)
    for (const { state, reason, source, destination } of told)
      if (names.has(source.name) && names.has(destination.name))
        assert.ok(state === 'mtls' || reason === 'destination-not-seen')
      else assert.equal(state, 'mtls', `${source.name} to ${destination.name}: ${reason}`)
  })
}

/** The pods are no longer read from a moment on, and six minutes later others have taken their place. */
function withLostPods(mesh: SimulatedMesh, lost: ReadonlySet<SimulatedPod>, at: number): SimulatedMesh {
  const evicted = at + 360
  const cut = new Map([...lost].map((pod) => [pod, { ...pod, ended: evicted, deleted: evicted + 1 }]))
  const own = (pod: SimulatedPod) => cut.get(pod) ?? pod
  const others = [...cut.values()].map((pod, index): SimulatedPod => ({
    ...pod,
    name: `${pod.name.slice(0, -5)}zz${100 + index}`,
    uid: pod.uid.replace('5a0f', '5b0f'),
    ip: `10.9.0.${index + 1}`,
    node: 'node-1',
    created: evicted,
    started: evicted + 3,
    ready: evicted + 5,
    ended: Infinity,
    deleted: Infinity,
    restarts: [],
  }))
  return {
    ...mesh,
    pods: [...mesh.pods.map(own), ...others],
    calls: mesh.calls.flatMap(({ from, to, ...call }) => {
      const isOver = [from, to].some((end) => end !== 'kubelet' && lost.has(end)) && call.closed >= evicted - 10
      return isOver ? [] : [{ ...call, from: from === 'kubelet' ? from : own(from), to: own(to) }]
    }),
    failing: [...cut.values()].map((pod) => ({ pod, from: at, to: evicted + 1 })),
  }
}
