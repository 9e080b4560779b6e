import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withinBudget } from '../../lib/collect/within-budget.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import { useBudget } from '../../lib/observed/budget.ts'
import { decodeSnapshot, encodeSnapshot } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../lib/store/keys.ts'
import { snapshotOf } from '../support/stored/sealed-store.ts'
import { errorText, matchesText } from '../support/texts/matches-text.ts'

const own = snapshotOf('prod', 0)
const page = { namespace: 'shop', pod: 'web', uid: 'u', address: '10.0.0.1', readAt: own.endedAt }

/** A snapshot whose sources have so many bytes each as they are stored. */
function withSizes(metrics: number, proxies: number): Snapshot {
  const answer = { name: 'n', query: 'q', time: '1', body: '"'.repeat(metrics / 2) }
  return {
    ...own,
    metrics: { ...own.metrics, answers: [answer] },
    proxies: { status: 'complete', errors: [], pages: [{ ...page, body: 'x'.repeat(proxies) }] },
  }
}

test('an attempt that could not be read back loses its largest source, and is stored with the others', async (context) => {
  useBudget('evidence=1000000')
  context.after(() => useBudget(undefined))
  const key = evidenceKey({ window: own.window, cluster: 'prod', attempt: 1 })
  const fits = withSizes(500_000, 300_000)
  assert.equal(withinBudget(fits), fits)
  await decodeSnapshot(key, await encodeSnapshot(fits))

  // By its length it would fit: as JSON in JSON each quote is two.
  const tooMuch = withSizes(900_000, 300_000)
  await assert.rejects(decodeSnapshot(key, await encodeSnapshot(tooMuch)), errorText())
  const kept = withinBudget(tooMuch)
  assert.deepEqual([kept.complete, kept.metrics.status, kept.proxies], [false, 'failed', tooMuch.proxies])
  matchesText(kept.metrics.errors.at(-1))
  await decodeSnapshot(key, await encodeSnapshot(kept))

  const pages = withinBudget(withSizes(300_000, 900_000))
  assert.deepEqual([pages.metrics.status, pages.proxies?.status, pages.proxies?.pages], ['complete', 'failed', []])
  const alone = withSizes(0, 1_100_000)
  assert.equal(withinBudget({ ...alone, metrics: { ...alone.metrics, answers: [] } }).complete, false)
})
