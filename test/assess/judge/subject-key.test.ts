import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subjectKey } from '../../../lib/assess/judge/rule.ts'
import type { Subject } from '../../../lib/model/judgement.ts'
import { compareText } from '../../../lib/text/order.ts'

const workload = (name: string) => ({ kind: 'deployment', namespace: 'shop', name })
const port = (name: string, number: number): Subject => ({
  kind: 'port',
  cluster: 'prod',
  workload: workload(name),
  port: number,
})

test('subjectKey() orders ports of a workload by their number, after those of the workload before it', () => {
  const inOrder = [port('api', 8080), port('web', 80), port('web', 443), port('web', 8080), port('web', 10_250)]
  const keys = inOrder.map(subjectKey)
  assert.deepEqual(keys.toSorted(compareText), keys)
  assert.equal(new Set(keys).size, keys.length)
})
