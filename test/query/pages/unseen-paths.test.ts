import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { readScopes } from '../../../lib/assess/judge/parse-scope.ts'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import { declareScope } from '../../../lib/store/registry/declarations.ts'
import { addCluster, readClusters } from '../../../lib/store/registry/registry.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../../support/stored/sealed-store.ts'
import { pod } from '../../support/mesh/synthetic-pods.ts'
import { NO_DISCOVERY, mutual, outbound, tcp } from '../../support/mesh/synthetic-prometheus.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const web = pod('deployment/web')
const api = pod('deployment/api')
const CLEAR = { pods: [web, api], counters: tcp(web, outbound(api, 8080, NO_DISCOVERY)) }
const ENCRYPTED = { pods: [web, api], counters: mutual(web, api, 8080) }
const SILENT = { pods: [web, api], counters: [] }

/**
 * Two clusters that are looked at days after their first window: `open`, of which the only path was in the clear then and had no traffic in the last window,
 * and `lost`, of which nothing was collected since.
 */
async function daysLater(t: TestContext, days: number, report = '') {
  const objects = memoryObjects()
  const author = { now: minutesIn(0), by: 'tester' }
  const last = days * 288
  for (const id of ['open', 'lost']) await addCluster({ id, windowMinutes: 5 }, author, { objects })
  for (const [id, index, mesh] of [
    ['open', 0, CLEAR],
    ['lost', 0, ENCRYPTED],
    ['open', last, SILENT],
  ] as const)
    await writeAttempt(snapshotOf(id, index, {}, mesh), { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
  if (report !== '') await declareScope(readScopes(report).value ?? assert.fail(), author, objects)
  const { page, signIn } = await startLocalSite(t, { objects, now: () => minutesIn(last * 5 + 6) })
  const cookie = await signIn(TOKENS.all)
  return (path: string) => page(path, cookie)
}

/** The text of a page without its pictures and tags. */
function textOf(page: string): string {
  return page
    .slice(page.indexOf('<main'), page.indexOf('</main'))
    .replaceAll(/<svg.*?<\/svg>/gs, '')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')
}

const OPEN = /\? unknown [^?]*open when last seen: since Tue 24 Nov 12:00 \(/

test('a path that was open when it was last seen stays listed as unencrypted, though the period shows nothing of it', async (t) => {
  for (const days of [2, 9]) {
    const page = await daysLater(t, days)
    for (const path of ['/paths?period=1d', '/paths?period=1d&state=unencrypted', '/paths?period=1d&cluster=open'])
      assert.match(textOf(await page(path)), OPEN, `${path} after ${days} days`)
    assert.match(textOf(await page('/paths?period=1d')), /shop 1 open/)
    assert.doesNotMatch(textOf(await page('/paths?period=1d&state=other')), OPEN)
    const [, lifeLine = ''] = /<a href="(\/paths\/open\/[^"?]+)/.exec(await page('/paths?period=1d')) ?? []
    assert.match(
      textOf(await page(`${lifeLine}?period=1d`)),
      /unknown now; open when last seen: since Tue 24 Nov 12:00/,
    )
  }
})

test('a path of which nothing was collected is undetermined, and not without traffic', async (t) => {
  const page = await daysLater(t, 2)
  const lost = textOf(await page('/paths?period=1d&cluster=lost'))
  assert.match(lost, /1 path of 1 has a row/)
  assert.match(lost, /✕ not-collected/)
  assert.doesNotMatch(lost, /1 exempt, refused or without traffic/)
  assert.match(textOf(await page('/paths?period=1d&cluster=lost&state=undetermined')), /1 path of 1 has a row/)
  matchesText(textOf(await page('/paths?period=1d&cluster=lost&state=other')))
})

test('workloads count paths that were open when last seen, and those of classes that are not judged', async (t) => {
  const seen = await daysLater(t, 2)
  matchesText(textOf(await seen('/workloads?cluster=open')))
  const unseen = await daysLater(t, 9)
  matchesText(textOf(await unseen('/workloads?cluster=open')))
  for (const days of [2, 9] as const) {
    const page = await daysLater(t, days, 'report:\n  judge: [mesh]\n')
    matchesText(textOf(await page('/workloads?cluster=open')))
  }
})

test('a cluster that has evidence and nothing derived from it is told, and hides no other', async (t) => {
  const objects = memoryObjects()
  const author = { now: minutesIn(0), by: 'tester' }
  for (const id of ['known', 'new']) {
    await addCluster({ id, windowMinutes: 5 }, author, { objects })
    for (const index of [0, 1]) await writeAttempt(snapshotOf(id, index, {}, CLEAR), { objects })
  }
  const [known = assert.fail()] = await readClusters({ objects })
  await deriveCluster(known, { objects, assess: assessWindow })
  const { page, ask, signIn } = await startLocalSite(t, { objects, now: () => minutesIn(11) })
  const cookie = await signIn(TOKENS.all)
  const front = (await page('/', cookie)).replaceAll(/<[^>]*>/g, '')
  assert.match(front, /new/)
  assert.match(front, /not encrypted|unencrypted/i)
  assert.doesNotMatch(front, /100(\.0)? % of/)
  assert.match((await page('/clusters', cookie)).replaceAll(/<[^>]*>/g, ' '), /new +unknown +0 of 2/)
  for (const place of ['/paths', '/workloads', '/flow', '/changes'])
    assert.equal((await ask(place, { headers: { cookie } })).status, 200, place)
  // Of it alone nothing can be told.
  assert.equal((await ask('/?cluster=new', { headers: { cookie } })).status, 503)
})
