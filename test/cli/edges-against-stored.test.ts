import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { assessWindow } from '../../lib/assess/window/window.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import type { Window } from '../../lib/model/time.ts'
import { compactCluster } from '../../lib/history/derive.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { parseNdjson, run } from '../support/process/command-line.ts'
import { freshFolder } from '../support/recorder.ts'
import { evidenceOf } from '../support/mesh/synthetic-cluster.ts'
import { WINDOW, pod, timeAt } from '../support/mesh/synthetic-pods.ts'
import { NO_DISCOVERY, mutual, outbound, tcp } from '../support/mesh/synthetic-prometheus.ts'
import { matchesText, textWith } from '../support/texts/matches-text.ts'

const [web, api, db] = [pod('deployment/web'), pod('deployment/api'), pod('statefulset/db')]
const CLUSTER = {
  pods: [web, api, db],
  counters: [
    ...mutual(web, api, 8080),
    ...tcp(api, outbound(web, 9000, NO_DISCOVERY)),
    ...tcp(web, outbound(db, 5432, NO_DISCOVERY)),
  ],
}
const BEFORE: Window = { start: timeAt(-300), end: timeAt(0) }

/** An answer of viz's dashboard with these edges, of which the last is the reason. */
function answered(kind: string, edges: readonly (readonly [src: string, dst: string, noIdentityMsg: string])[]) {
  const resource = (name: string) => ({ namespace: 'shop', type: kind, name })
  const all = edges.map(([src, dst, noIdentityMsg]) => ({ src: resource(src), dst: resource(dst), noIdentityMsg }))
  return { kind, body: JSON.stringify({ ok: { edges: all } }) }
}

const VIZ: NonNullable<Snapshot['viz']> = {
  status: 'complete',
  errors: [],
  takenAt: timeAt(60),
  answers: [
    answered('deployment', [
      ['web', 'api', ''],
      ['api', 'web', ''],
      ['ghost', 'web', ''],
    ]),
    answered('statefulset', []),
  ],
}

/** A store with the synthetic window, and the one before it in whose attempt viz was asked. */
async function stored(context: TestContext, viz: Snapshot['viz']) {
  const folder = freshFolder(context)
  const objects = directoryObjects(join(folder, 'store'))
  const author = { by: 'test', now: new Date(timeAt(-600)) }
  await addCluster({ id: 'synthetic', kubeconfig: '/dev/null', windowMinutes: 5 }, author, { objects })
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  const { snapshot } = evidenceOf(CLUSTER)
  const { viz: _, ...plain } = snapshot
  const none = { status: 'failed', errors: ['Cannot ask'], prometheusTime: null, answers: [] } as const
  const asked = { ...plain, window: BEFORE, complete: false, metrics: none, startedAt: timeAt(60), endedAt: timeAt(61) }
  await writeAttempt({ ...asked, ...(viz === undefined ? {} : { viz }) }, { objects })
  await writeAttempt(snapshot, { objects })
  await compactCluster(cluster, { objects, assess: assessWindow, now: new Date(timeAt(400)) })
  return (...args: string[]) => run(['edges', ...args, '--store', 'store'], { folder })
}

test('edges --against stored tells where viz’s own answer in a past window was another', async (context) => {
  const edges = await stored(context, VIZ)
  const { code, stdout, stderr } = await edges('deployment', '--at', WINDOW.end, '--against', 'stored')
  matchesText(stderr, textWith({ timeAt: timeAt(60) }))
  assert.equal(code, 0)
  matchesText(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.replaceAll(/ {2,}/g, ' | ')),
  )
  const json = await edges('deployment', '--against', 'stored', '--json', '-n', 'shop')
  assert.deepEqual(
    parseNdjson(json.stdout).map(({ src, ours }) => [src, ours]),
    [
      ['api', 'Not Provided By Service Discovery'],
      ['ghost', null],
    ],
  )
  const empty = await edges('sts', '--against', 'stored')
  assert.deepEqual([empty.code, empty.stdout], [0, ''])
  assert.match(empty.stderr, /^0 of 0 edges /)
})

test('edges --against stored says why there is nothing to compare, and never that nothing differs', async (context) => {
  const what = `Cannot compare the window ${WINDOW.start} to ${WINDOW.end} of cluster "synthetic" with what linkerd viz edges answered in it: `
  const before = `the window ${BEFORE.start} to ${BEFORE.end}`
  const cases: readonly (readonly [viz: Snapshot['viz'], kind: string, why: string])[] = [
    [undefined, 'deployment', `it was not asked when ${before} was collected`],
    [VIZ, 'daemonset', 'it was asked for deployment, statefulset, not for daemonset'],
    [{ ...VIZ, takenAt: timeAt(301) }, 'deployment', `it was asked at ${timeAt(301)}, which is not in that window`],
    [{ ...VIZ, status: 'failed', errors: ['Cannot reach it'], answers: [] }, 'deployment', 'Cannot reach it'],
    [{ ...VIZ, answers: [{ kind: 'deployment', body: '{' }] }, 'deployment', 'it is no JSON'],
  ]
  for (const [viz, kind, why] of cases) {
    const edges = await stored(context, viz)
    const ran = await edges(kind, '--at', WINDOW.end, '--against', 'stored')
    assert.deepEqual([ran.code, ran.stdout, ran.stderr], [1, '', `${what}${why}\n`])
  }
  const edges = await stored(context, VIZ)
  const all = await edges('all', '--against', 'stored')
  assert.deepEqual([all.code, all.stdout], [2, ''])
})
