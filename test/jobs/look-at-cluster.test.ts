import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { DEMO_FIXTURE } from '../../demo/fixture.ts'
import { isEncrypted, isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { type AssessInput, assessWindow } from '../../lib/assess/window/window.ts'
import { assessLook, lookWindow } from '../../lib/jobs/look-at-cluster.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { reducePage } from '../../lib/observed/metrics-page.ts'
import { shareOf } from '../../cli/commands/look/look-words.ts'
import { recordedEvidence } from '../support/mesh/recorded-evidence.ts'

const RECORDED = join(import.meta.dirname, '../recordings/demo/metrics')

type ListedPod = {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string }
  readonly status: { readonly podIP: string }
}

test('lookWindow() ends a minute ago, and is shorter where proxies are read by name', () => {
  const now = new Date('2026-11-24T13:36:00.700Z')
  assert.deepEqual(lookWindow({}, 600, now), { start: '2026-11-24T13:25:00Z', end: '2026-11-24T13:35:00Z' })
  for (const cluster of [{ noPrometheus: true as const }, { proxies: 'auto' as const }]) {
    assert.equal(lookWindow(cluster, 600, now).start, '2026-11-24T13:29:00Z')
    assert.equal(lookWindow(cluster, 120, now).start, '2026-11-24T13:33:00Z')
  }
})

describe('assessLook()', () => {
  let withCadvisor: AssessInput[]
  let withoutCadvisor: AssessInput[]
  before(async () => {
    withCadvisor = await recordedEvidence(join(import.meta.dirname, '../fixtures/lives'))
    withoutCadvisor = await recordedEvidence(DEMO_FIXTURE)
  })

  /** Every window but the first, as a look sees it and as a collection does, which has a list from before it, too. */
  const pairs = (evidence: readonly AssessInput[]) =>
    evidence.slice(1).map((input) => ({ look: assessLook(input.snapshot), collected: assessWindow(input) }))

  const tally = (results: readonly WindowResult[]) => ({
    paths: results.flatMap(({ paths }) => paths).length,
    notEncrypted: results.flatMap(({ paths }) => paths.filter(isNotEncrypted)).length,
    unknown: results.flatMap(({ paths }) => paths.filter(({ state }) => state === 'unknown')).length,
    causeUnknown: results.flatMap(({ paths }) =>
      paths.filter((path) => isNotEncrypted(path) && path.cause === 'unknown'),
    ).length,
  })

  const assertNeverBetter = (all: ReturnType<typeof pairs>) => {
    for (const { look, collected } of all) {
      const shown = new Map(look.paths.map((path) => [path.pathId, path] as const))
      for (const path of collected.paths) {
        const own = shown.get(path.pathId)
        assert.ok(own, `${path.pathId} is not shown`)
        if (!isEncrypted(path.state) && path.state !== 'exempt')
          assert.ok(!isEncrypted(own.state) && own.state !== 'exempt', JSON.stringify([path, own]))
      }
    }
  }

  test('shows with one list what a collection tells with two, where cAdvisor shows who ran', (context) => {
    const all = pairs(withCadvisor)
    assertNeverBetter(all)
    const [look, collected] = [tally(all.map((pair) => pair.look)), tally(all.map((pair) => pair.collected))]
    context.diagnostic(JSON.stringify({ look, collected }))
    assert.deepEqual([look.paths, look.notEncrypted], [collected.paths, collected.notEncrypted])
    assert.ok(look.unknown <= collected.unknown + 0.02 * collected.paths)
    assert.ok(look.causeUnknown <= collected.causeUnknown)
    // The list from before knows better when a pod began and ended.
    for (const pair of all)
      assert.ok(Math.abs((shareOf(pair.look).ratio ?? 0) - (shareOf(pair.collected).ratio ?? 0)) < 0.01)
  })

  test('is of use without cAdvisor, too, and never shows better than a collection does', (context) => {
    const all = pairs(withoutCadvisor)
    assertNeverBetter(all)
    const [look, collected] = [tally(all.map((pair) => pair.look)), tally(all.map((pair) => pair.collected))]
    context.diagnostic(JSON.stringify({ look, collected }))
    assert.equal(look.notEncrypted, collected.notEncrypted)
    assert.ok(look.unknown < 0.1 * look.paths, `${look.unknown} of ${look.paths} are unknown`)
  })

  test('tells of a proxy that is read by name from one page: it holds whatever was used in ten minutes', () => {
    const recorded = withoutCadvisor.find(({ snapshot }) => snapshot.window.end === '2026-11-24T13:25:00Z')?.snapshot
    assert.ok(recorded)
    const page = join(RECORDED, '20261124T132422Z', 'emojivoto.web-f9c88bd6f-mw7pd.txt.gz')
    const pods = recorded.kubernetes.lists.find(({ resource }) => resource === 'pods')?.items as readonly ListedPod[]
    const pod = pods.find(({ metadata }) => metadata.name === 'web-f9c88bd6f-mw7pd')
    assert.ok(pod)
    const { namespace, name, uid } = pod.metadata
    const body = reducePage(gunzipSync(readFileSync(page)).toString())
    const read = { namespace, pod: name, uid, address: pod.status.podIP, readAt: '2026-11-24T13:24:22Z', body }
    const snapshot: Snapshot = {
      ...recorded,
      metrics: { status: 'complete', errors: [], prometheusTime: null, answers: [] },
      proxies: { status: 'complete', errors: [], pages: [read] },
    }
    const sent = ({ paths }: WindowResult) =>
      paths.filter(({ source }) => source.name === 'web').map(({ destination }) => destination.name)
    const seen = ({ coverage }: WindowResult) =>
      coverage.find(({ workload }) => workload.name === 'web')?.observedSeconds ?? 0
    const [look, alone] = [assessLook(snapshot), assessWindow({ key: '', snapshot, before: null, after: null })]
    assert.deepEqual([...new Set(sent(look))].toSorted(), ['emoji', 'login', 'voting'])
    assert.ok(seen(look) > 240 && seen(alone) === 0, `${seen(look)} s seen`)
  })

  test('is not read from lists that were read in part: what they lack would look gone', () => {
    const { snapshot } = withoutCadvisor[1] ?? {}
    assert.ok(snapshot)
    const look = assessLook({ ...snapshot, kubernetes: { ...snapshot.kubernetes, status: 'partial' } })
    assert.equal(look.inputs.after, null)
    assert.ok(look.paths.length > 0)
  })
})
