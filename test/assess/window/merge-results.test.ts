import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mergeResults } from '../../../lib/assess/window/merge-results.ts'
import { STATES } from '../../../lib/model/path.ts'
import type { Edge, PathWindow, WindowResult } from '../../../lib/model/window.ts'
import {
  anyHistory,
  coverageOf,
  halfDay,
  HALF_DAY,
  named80,
  pathWindow,
  unnamed80,
  windowResult,
  workloadOf,
} from '../../support/stored/window-results.ts'

const window = halfDay(0)

function attempt(number: number, changes: Partial<WindowResult> = {}): WindowResult {
  const inputs = { evidence: `evidence/${number}`, before: null, after: null }
  return windowResult(window, { ...changes, inputs })
}

/** Any attempts at one window, numbered from 1. */
const anyAttempts = fc
  .array(
    anyHistory.map((history) => history.flatMap(({ result }) => result ?? [])[0] ?? windowResult(window)),
    { minLength: 1, maxLength: 4 },
  )
  .map((results) => results.map((result, index) => ({ ...result, window, inputs: attempt(index + 1).inputs })))

function merged(results: readonly WindowResult[]): WindowResult {
  const [first, ...others] = results
  assert.ok(first)
  return mergeResults([first, ...others])
}

function rankOf({ state, outcome }: PathWindow): number {
  return STATES.indexOf(state) + (outcome === 'refused' ? STATES.length : 0)
}

test('mergeResults() lets the worse reading of each path stand, whoever has it, with the most that was counted', () => {
  const early = attempt(1, { paths: [pathWindow(named80, 'mtls', { opens: 5, bytes: 50, corroborated: 'no' })] })
  const late = attempt(2, {
    paths: [
      pathWindow(named80, 'unknown', { reason: 'source-partly-unmeshed', opens: 3, bytes: 60 }),
      pathWindow(unnamed80, 'plaintext', { clearBytes: 10 }),
    ],
  })
  const { paths, inputs } = mergeResults([early, late])
  assert.deepEqual(inputs, { evidence: 'evidence/1', before: null, after: null, also: ['evidence/2'] })
  assert.deepEqual(
    paths.map(({ pathId, state, reason, opens, bytes }) => [pathId, state, reason, opens, bytes]),
    [
      [named80.pathId, 'unknown', 'source-partly-unmeshed', 5, 60],
      [unnamed80.pathId, 'plaintext', '', 1, 10],
    ],
  )
})

test('mergeResults() lets an attempt that lost its data erase nothing', () => {
  const whole = attempt(1, {
    paths: [pathWindow(unnamed80, 'plaintext', { clearBytes: 10 })],
    coverage: [coverageOf(window)],
    workloads: [workloadOf('ledger')],
    crypto: { ...attempt(1).crypto, proxyVersions: [{ version: 'edge-26.8.3', proxies: 3 }] },
  })
  const { kind, namespace, name } = unnamed80.destination
  const lost = coverageOf(window, {
    workload: { kind, namespace, name },
    observedSeconds: 10,
    ratio: 10 / HALF_DAY,
    gaps: [{ reason: 'prometheus-down', pods: 1, from: window.start, to: window.end }],
  })
  const notScraped = { kind: 'not-scraped', port: null, detail: '' } as const
  const half = attempt(2, { coverage: [lost], workloads: [workloadOf('ledger', { blindSpots: [notScraped] })] })
  const nothing = attempt(3, { collected: false, errors: ['Cannot tell paths'] })
  for (const attempts of [
    [whole, half],
    [whole, nothing],
    [whole, half, nothing],
  ]) {
    const result = merged(attempts)
    const { inputs, ...told } = whole
    assert.deepEqual({ ...result, inputs }, { ...told, inputs })
    assert.deepEqual(
      result.inputs.also,
      attempts.slice(1).map((one) => one.inputs.evidence),
    )
  }
  // As where all of it came late.
  assert.deepEqual(mergeResults([{ ...nothing, inputs: attempt(0).inputs }, whole]).paths, whole.paths)
})

test('mergeResults() knows since when a connection is where one attempt saw it begin, and keeps what policy refused', () => {
  const undated = attempt(1, { paths: [pathWindow(unnamed80, 'plaintext', { sinceUnknown: true })] })
  const dated = attempt(2, { paths: [pathWindow(unnamed80, 'plaintext')] })
  assert.equal(mergeResults([undated, dated]).paths[0]?.sinceUnknown, false)

  const refused = attempt(1, { paths: [pathWindow(unnamed80, 'plaintext', { outcome: 'refused', opens: 4 })] })
  const allowed = attempt(2, { paths: [pathWindow(unnamed80, 'tls-anonymous')] })
  const { paths, edges } = mergeResults([refused, allowed])
  assert.deepEqual(
    paths.map(({ state, outcome }) => [state, outcome]),
    [['tls-anonymous', 'allowed']],
  )
  assert.deepEqual(
    edges.map(({ state, outcome, opens }: Edge) => [state, outcome, opens]),
    [['plaintext', 'refused', 4]],
  )
})

test('mergeResults() gives one attempt alone as it is, and the same for attempts in any order or given twice', () => {
  fc.assert(
    fc.property(anyAttempts, (attempts) => {
      const [first] = attempts
      assert.ok(first)
      assert.equal(mergeResults([first]), first)
      const result = merged(attempts)
      assert.deepEqual(merged(attempts.toReversed()), result)
      assert.deepEqual(merged([...attempts, ...attempts]), result)
      // What all of them say alike is what one says.
      const again = { ...first, inputs: attempt(2).inputs }
      const { inputs: _, ...told } = mergeResults([first, again])
      assert.deepEqual({ ...told, inputs: first.inputs }, first)
    }),
  )
})

test('mergeResults() never makes a path better by one more attempt, and never loses coverage or a doubt', () => {
  fc.assert(
    fc.property(anyAttempts, (attempts) => {
      if (attempts.length === 1) return
      const fewer = merged(attempts.slice(0, -1))
      const result = merged(attempts)
      if (!fewer.collected) return
      assert.ok(result.collected)
      const paths = new Map(result.paths.map((path) => [path.pathId, path]))
      for (const path of fewer.paths) {
        const now = paths.get(path.pathId)
        assert.ok(now)
        assert.ok(path.outcome === 'refused' || rankOf(now) <= rankOf(path))
        assert.ok(now.opens >= path.opens && now.bytes >= path.bytes && now.clearBytes >= path.clearBytes)
      }
      for (const row of fewer.coverage) {
        const now = result.coverage.find(({ workload }) => workload.name === row.workload.name)
        assert.ok(now && now.observedSeconds >= row.observedSeconds)
      }
      for (const workload of fewer.overridden ?? []) assert.ok(result.overridden?.includes(workload))
      for (const { name, blindSpots } of fewer.workloads) {
        const now = result.workloads.find((workload) => workload.name === name)
        for (const spot of blindSpots) assert.ok(now?.blindSpots.some(({ kind }) => kind === spot.kind))
      }
      assert.ok(fewer.partial !== true || result.partial === true)
    }),
  )
})
