import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { factsOf } from '../../../lib/assess/pods/facts.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import type { PodFacts } from '../../../lib/assess/pods/pods.ts'
import { witnessed } from '../../../lib/assess/pods/witnessed.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { type SyntheticCluster, assessed, evidenceOf, pathLines } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, WINDOW, identityOf, pod } from '../../support/mesh/synthetic-pods.ts'
import { type Counter, clearHttp, inbound, mutual, outbound, tcp } from '../../support/mesh/synthetic-prometheus.ts'

/** Both ends were rolled at 200 s; the only list was taken later. */
const web = pod('deployment/web', { to: 200 })
const api = pod('deployment/api', { to: 200 })
const webNow = pod('deployment/web', { from: 198 })
const apiNow = pod('deployment/api', { from: 198 })
const PATH = 'deployment/web -> deployment/api:8080'
const UNKNOWN = [`${PATH} unknown (pod-not-listed)`]

function cluster(more: Partial<SyntheticCluster> = {}): SyntheticCluster {
  return {
    pods: [webNow, apiNow],
    unlisted: [web, api],
    counters: mutual(web, api, 8080),
    before: null,
    kubelet: {},
    ...more,
  }
}

function isBelieved(of: SyntheticCluster): boolean {
  return pathLines(of).some((line) => line.endsWith(' mtls'))
}

/** A pod that names itself as another one, at an address of its own. */
function liar(as: Pod, more: Partial<Pod> = {}): Pod {
  return { ...as, ip: '10.9.9.9', uid: 'liar', ...more }
}

describe('Two pods in no list', () => {
  test('are believed where cAdvisor shows both with a proxy, and each saw the identity of the other', () => {
    assert.deepEqual(pathLines(cluster()), [`${PATH} mtls`])
    assert.equal(assessed(cluster()).paths[0]?.source.serviceAccount, 'web')
  })

  test('are believed also where their workload has left the mesh since', () => {
    const bare = pod('deployment/web', { from: 198, meshed: false })
    assert.deepEqual(pathLines(cluster({ pods: [bare, apiNow] })), [`${PATH} mtls`])
    // The one without a proxy may have called, too.
    const clear = clearHttp(api, 8080, [195])
    assert.match(
      pathLines(cluster({ pods: [bare, apiNow], counters: [...mutual(web, api, 8080), ...clear] })).join(),
      /deployment\/web -> deployment\/api:8080 unknown \(source-partly-unmeshed/,
    )
  })

  test('are not believed where cAdvisor does not show them, or not with a proxy', () => {
    const { kubelet: _, ...without } = cluster()
    assert.deepEqual(pathLines(without), UNKNOWN)
    for (const sandbox of [web, api])
      assert.deepEqual(pathLines(cluster({ kubelet: { sandboxOnly: [sandbox] } })), UNKNOWN)
    // What the kubelet shows has no proxy: somebody else took its name.
    const bare = { ...web, meshed: false }
    assert.equal(isBelieved(cluster({ unlisted: [bare, api], counters: mutual(bare, api, 8080) })), false)
  })

  test('are not believed where another address has the name of one of them meanwhile', () => {
    for (const victim of [web, api])
      assert.deepEqual(pathLines(cluster({ unlisted: [web, api, liar(victim)] })), UNKNOWN)
  })

  test('are not believed on the word of one of them', () => {
    const client = tcp(web, outbound(api, 8080, { tls: 'true', server_id: identityOf(api) }))
    assert.deepEqual(pathLines(cluster({ counters: client })), UNKNOWN)
    const server = tcp(api, inbound(api, 8080, { tls: 'true', client_id: identityOf(web) }))
    assert.equal(isBelieved(cluster({ counters: server })), false)
    const other: Counter[] = [...tcp(web, outbound(api, 8080, { tls: 'true', server_id: identityOf(web) })), ...server]
    assert.deepEqual(pathLines(cluster({ counters: other })), UNKNOWN)
  })
})

test('witnessed() believes no address that was not scraped in the window, or names nobody', () => {
  const { before, after } = evidenceOf({ pods: [web] })
  const listed = (lists: typeof before) => (lists === null ? null : listedOf(lists.lists, toSeconds(lists.takenAt)))
  const window = { start: toSeconds(WINDOW.start), end: toSeconds(WINDOW.end) }
  const [known] = factsOf(listed(before), listed(after), window, 'linkerd').pods
  assert.ok(known)
  const pods: PodFacts[] = [
    { ...known, unlisted: 'spec-unknown', life: { from: window.start, to: window.end, isOver: true } },
  ]
  const said = (times: readonly number[], ...claims: readonly string[]) => [
    ...witnessed({ pods }, new Map([['10.0.0.9:4191', { times, interval: 10, processStarts: [], failed: [] }]]), {
      ...window,
      names: new Map(claims.length === 0 ? [] : [['10.0.0.9:4191', new Set(claims)]]),
    }),
  ]
  const name = `${known.namespace}/${known.name}`
  const within = [window.start + 10, window.start + 20]
  assert.deepEqual(said(within, name), ['10.0.0.9:4191'])
  assert.deepEqual(said([window.start - 10, window.start], name), [])
  assert.deepEqual(said([], name), [])
  assert.deepEqual(said(within), [])
  assert.deepEqual(said(within, name, 'shop/other'), [])
})
