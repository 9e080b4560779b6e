import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_SETTINGS } from '../../../lib/assess/judge/stored-scope.ts'
import type { Scope } from '../../../lib/model/judgement.ts'
import type { ClusterPeriod } from '../../../lib/model/period.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { type StoryPath, cluster, episode, hours, report, workload } from '../../support/stored/report-input.ts'

const WINDOWS = hours()

type Open = {
  readonly from: string
  readonly to: string
  readonly state?: 'plaintext' | 'no-mesh-tls'
  readonly bytes?: number
  /** The window in which it began. */
  readonly since?: number
  readonly fix?: string
}

/** A path that is open at the end of the week, since a destination has no proxy. */
function open(pathId: string, { from, to, state = 'plaintext', bytes = 1000, since = 0, fix = `mesh ${to}` }: Open) {
  const end = (name: string) => workload('deployment', name.split('/')[0] ?? '', name.split('/')[1] ?? '')
  const began = WINDOWS[since]?.start ?? ''
  const stretch = { from: since, to: 167, state, cause: 'destination-not-meshed', fix, clearShare: 1, bytes } as const
  return {
    pathId,
    source: end(from),
    destination: end(to),
    port: 80,
    stretches: [{ ...stretch, episode: episode(pathId, began) }],
  } satisfies StoryPath
}

const scope = (changes: Partial<Scope>): Scope => ({
  framework: 'soc-2',
  clusters: [],
  namespaces: [],
  labels: {},
  owner: 'shop',
  reason: 'the shop',
  ...changes,
})

const STORY = [
  open('a', { from: 'shop/web', to: 'shop/db', bytes: 10 }),
  open('b', { from: 'shop/api', to: 'shop/db', bytes: 20 }),
  open('c', { from: 'shop/jobs', to: 'shop/db', bytes: 5, since: 3 }),
  open('d', { from: 'shop/web', to: 'shop/mail', bytes: 34, since: 9 }),
  open('e', { from: 'shop/web', to: 'shop/geo', bytes: 34, since: 2 }),
  open('f', { from: 'shop/web', to: 'shop/feed', state: 'no-mesh-tls', bytes: 9999 }),
  open('g', { from: 'bank/web', to: 'bank/ledger', state: 'no-mesh-tls', bytes: 1 }),
]

function actionsOf(made: ClusterPeriod, scopes: readonly Scope[] = [], ownerLabel = DEFAULT_SETTINGS.ownerLabel) {
  const past = [{ id: made.id, periods: [], episodes: [] }]
  return summarise(report([made], { scopes, past, settings: { ...DEFAULT_SETTINGS, ownerLabel } })).actions
}

test('paths of one cause and one fix are one action, and the worst state, the most bytes and the oldest come first', () => {
  const actions = actionsOf(cluster('west', WINDOWS, STORY))
  assert.deepEqual(
    actions.map(({ number, target, paths }) => [number, target.name, paths.length]),
    [
      [1, 'db', 3],
      [2, 'geo', 1],
      [3, 'mail', 1],
      [4, 'feed', 1],
      [5, 'ledger', 1],
    ],
  )
  assert.equal(actions[0]?.since, WINDOWS[0]?.start, 'as old as its oldest path')
})

test('what is in scope of a framework comes before all else', () => {
  const made = cluster('west', WINDOWS, STORY)
  const judged = new Set(summarise(report([made])).judgement.frameworks.map(({ id }) => id))
  const scopes = [...judged].map((framework) => scope({ framework, namespaces: ['bank'] }))
  assert.deepEqual(
    actionsOf(made, scopes).map(({ target, isInScope }) => [target.name, isInScope]),
    [
      ['ledger', true],
      ['db', false],
      ['geo', false],
      ['mail', false],
      ['feed', false],
    ],
  )
})

test('actions do not depend on the order in which paths were kept', () => {
  const made = cluster('west', WINDOWS, STORY)
  const told = (rows: ClusterPeriod['rows']) =>
    actionsOf({ ...made, rows }).map(({ number, target, clearBytes, since }) => [number, target, clearBytes, since])
  const was = told(made.rows)
  fc.assert(
    fc.property(fc.shuffledSubarray([...made.rows], { minLength: made.rows.length }), (rows) => {
      assert.deepEqual(told(rows), was)
    }),
    { numRuns: 30 },
  )
})

test('the owner is a label of the workload to change, app.kubernetes.io/part-of unless another is named, else its namespace', () => {
  const made = cluster('west', WINDOWS, STORY)
  const labels: Readonly<Record<string, Record<string, string>>> = {
    db: { 'app.kubernetes.io/part-of': 'storage', team: 'blue' },
    geo: { team: 'red' },
  }
  const workloads = made.workloads.map((one) => {
    const own = labels[one.name]
    return own === undefined ? one : { ...one, labels: own }
  })
  const ownersBy = (label?: string) =>
    Object.fromEntries(actionsOf({ ...made, workloads }, [], label).map(({ target, owner }) => [target.name, owner]))
  assert.deepEqual(ownersBy(), { db: 'storage', geo: 'shop', mail: 'shop', feed: 'shop', ledger: 'bank' })
  assert.deepEqual(ownersBy('team'), { db: 'blue', geo: 'red', mail: 'shop', feed: 'shop', ledger: 'bank' })
})
