import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyProblem } from '../../lib/history/history-problem.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { evidenceKey, stateKey } from '../../lib/store/keys.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { halfDay } from '../support/stored/window-results.ts'

const SHOP: Cluster = {
  id: 'shop',
  registeredAt: '2026-11-20T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-20T00:00:00Z', minutes: 60 }],
}

/** The problem of a cluster whose store holds these keys. */
function problemOf(...held: readonly string[]): Promise<string | undefined> {
  return historyProblem(SHOP, memoryObjects(new Map(held.map((key) => [key, Buffer.from('x')]))))
}

const evidenceOf = (cluster: string) => evidenceKey({ window: halfDay(0), cluster, attempt: 1 })

test('historyProblem() tells a history that is missing from a cluster that was never collected', async () => {
  assert.equal(await problemOf(), undefined)
  assert.equal(await problemOf(evidenceOf('bank'), 'evidence/README'), undefined)
  assert.match((await problemOf('evidence/README', evidenceOf('bank'), evidenceOf('shop'))) ?? '', /it is missing/)
})

test('historyProblem() tells a state that is damaged', async () => {
  assert.match((await problemOf(stateKey('shop'))) ?? '', /it is damaged/)
})
