import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { toSeconds, toTime, windowsBetween } from '../../lib/time/windows.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { deriveCluster } from '../../lib/history/derive.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { encodeSnapshot } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../lib/store/keys.ts'
import { listsAround } from '../../lib/history/lists-around.ts'
import { freshFolder } from '../support/recorder.ts'
import { evidenceOf } from '../support/mesh/synthetic-cluster.ts'
import { pod } from '../support/mesh/synthetic-pods.ts'

const cluster: Cluster = {
  id: 'shop',
  registeredAt: '2026-11-24T12:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T12:00:00Z', minutes: 5 }],
}

test('listsAround() gives the last lists up to a time and the first after it', async (context) => {
  const objects = directoryObjects(join(freshFolder(context), 'store'))
  assert.deepEqual(await listsAround('shop', 0, objects), { before: null, after: null })

  const start = toSeconds('2026-11-24T12:00:00Z')
  const taken: number[] = []
  for (const [index, window] of windowsBetween(cluster.windows, start, start + 5 * 300).entries()) {
    const { snapshot } = evidenceOf({ pods: [pod('deployment/web')] })
    const takenAt = toTime(toSeconds(window.end) + 60)
    // Lists that were read in part are no lists.
    const status = index === 2 ? ('partial' as const) : ('complete' as const)
    if (status === 'complete') taken.push(toSeconds(takenAt))
    const kubernetes = { ...snapshot.kubernetes, status, takenAt }
    const body = await encodeSnapshot({ ...snapshot, cluster: 'shop', window, kubernetes })
    await objects.putOnce(evidenceKey({ cluster: 'shop', window, attempt: 1 }), body)
  }
  await deriveCluster(cluster, { objects, assess: assessWindow })
  assert.equal(taken.length, 4)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: start, max: start + 6 * 300 }), async (time) => {
      const { before, after } = await listsAround('shop', time, objects)
      assert.equal(
        before?.takenAt,
        taken.findLast((one) => one <= time),
      )
      assert.equal(
        after?.takenAt,
        taken.find((one) => one > time),
      )
      assert.equal((before ?? after)?.pods.length, 1)
    }),
    { numRuns: 20 },
  )
})
