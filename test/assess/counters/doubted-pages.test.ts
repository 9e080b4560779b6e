import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import { type AssessInput, assessWindow } from '../../../lib/assess/window/window.ts'
import { DECIDING } from '../../../lib/observed/pod-labels.ts'
import { linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Paged, pagedEvidence } from '../../support/mesh/synthetic-pages.ts'
import { type Pod, identityOf, pod } from '../../support/mesh/synthetic-pods.ts'
import {
  type Counter,
  NO_DISCOVERY,
  NO_TLS,
  clearHttp,
  inbound,
  mutual,
  outbound,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'

const told = (input: AssessInput) => linesOf(assessWindow(input).paths)
const BOTH: Paged = {}
const ALONE: Paged = { alone: true }

/** What a client says of itself alone, and what a server does. */
const calls = (client: Pod, server: Pod, port: number) =>
  tcp(client, outbound(server, port, { tls: 'true', server_id: identityOf(server) }), { at: [120] })
const saw = (server: Pod, client: Pod, port: number) =>
  tcp(server, inbound(server, port, { tls: 'true', client_id: identityOf(client) }), { at: [120] })

describe('The page of a pod whose labels may lie', () => {
  const web = pod('deployment/web')
  const api = pod('deployment/api')
  const liar = pod('deployment/liar', { labels: { tls: 'true' } })
  const ALONE_IN_DOUBT = 'unknown (labels-overridden (not corroborated))'

  test('encrypts nothing that no other proxy saw', () => {
    for (const paged of [BOTH, ALONE]) {
      const lines = told(pagedEvidence({ pods: [api, liar], counters: calls(liar, api, 8080) }, paged))
      assert.deepEqual(lines, [`deployment/liar -> deployment/api:8080 ${ALONE_IN_DOUBT}`])
    }
  })

  test('is borne out by the identity that the server saw, if it is of one workload', () => {
    const counters = mutual(liar, api, 8080, { at: [120] })
    const twin = pod('deployment/twin', { serviceAccount: 'liar' })
    for (const paged of [BOTH, ALONE]) {
      const lines = told(pagedEvidence({ pods: [api, liar], counters }, paged))
      assert.deepEqual(lines, ['deployment/liar -> deployment/api:8080 mtls'])
      const shared = told(pagedEvidence({ pods: [api, liar, twin], counters }, paged))
      assert.deepEqual(shared, [`deployment/liar -> deployment/api:8080 ${ALONE_IN_DOUBT}`])
    }
  })

  test('is not borne out where clear traffic without a name reached the port, or may have', () => {
    const counters = [...mutual(liar, api, 8080, { at: [120] }), ...clearHttp(api, 8080, [150])]
    for (const paged of [BOTH, ALONE]) {
      const lines = told(pagedEvidence({ pods: [api, liar], counters }, paged))
      assert.ok(lines.includes(`deployment/liar -> deployment/api:8080 ${ALONE_IN_DOUBT}`), lines.join('\n'))
    }
    const bare = pod('deployment/api', { meshed: false })
    const half = told(pagedEvidence({ pods: [api, bare, liar], counters: mutual(liar, api, 8080, { at: [120] }) }))
    assert.deepEqual(half, ['deployment/liar -> deployment/api:8080 unknown (destination-not-seen)'])
  })

  test('bears out nobody: another in doubt, a pod in no list, an identity that it names', () => {
    const other = pod('deployment/other', { labels: { server_id: 'x' } })
    for (const paged of [BOTH, ALONE])
      assert.deepEqual(
        told(pagedEvidence({ pods: [liar, other], counters: mutual(other, liar, 8080, { at: [120] }) }, paged)),
        [`deployment/other -> deployment/liar:8080 ${ALONE_IN_DOUBT}`],
      )
    const once = pod('job/once', { from: 100, to: 140 })
    const counters = mutual(once, liar, 8080, { at: [120] })
    assert.deepEqual(told(pagedEvidence({ pods: [liar], unlisted: [once], counters })), [
      'job/once -> deployment/liar:8080 unknown (pod-not-listed)',
      'serviceaccount/once -> deployment/liar:8080 unknown (labels-overridden)',
    ])
    assert.deepEqual(told(pagedEvidence({ pods: [web, liar], counters: saw(liar, web, 8080) }, ALONE)), [
      'serviceaccount/web -> deployment/liar:8080 unknown (labels-overridden)',
    ])
    const { paths } = assessWindow(
      pagedEvidence({ pods: [web, liar], counters: mutual(web, liar, 8080, { at: [120] }) }, ALONE),
    )
    assert.deepEqual(linesOf(paths), ['deployment/web -> deployment/liar:8080 mtls'])
    assert.equal(paths[0]?.corroborated, 'no')
  })

  test('makes no row go away, and exempts nothing', () => {
    const silent = pagedEvidence({ pods: [api, liar], counters: calls(liar, api, 8080) })
    const pages = (source: NonNullable<AssessInput['before']>['pages']) =>
      source?.pages.map((page) => ({ ...page, body: page.body.replaceAll(/^tcp_.*\n/gm, '') })) ?? []
    const { before, snapshot } = silent
    const input: AssessInput = {
      ...silent,
      before:
        before?.pages === undefined ? before : { ...before, pages: { ...before.pages, pages: pages(before.pages) } },
      snapshot: {
        ...snapshot,
        proxies: { status: 'complete', errors: [], pages: pages({ end: '', pages: snapshot.proxies?.pages ?? [] }) },
      },
    }
    assert.deepEqual(told(input), ['deployment/liar -> deployment/api:8080 unknown (labels-overridden)'])
    const empty = tcp(liar, inbound(liar, 7000, NO_TLS), { at: [120], bytes: 0 })
    assert.deepEqual(told(pagedEvidence({ pods: [liar], counters: empty }, ALONE)), [
      'unmeshed -> deployment/liar:7000 unknown (labels-overridden)',
    ])
  })

  test('covers no destination for others, and no source that it is a part of', () => {
    const half = [pod('deployment/half'), pod('deployment/half', { meshed: false })] as const
    const toLiar = mutual(half[0], liar, 8080, { at: [120] })
    for (const paged of [BOTH, ALONE])
      assert.deepEqual(told(pagedEvidence({ pods: [...half, liar], counters: toLiar }, paged)), [
        'deployment/half -> deployment/liar:8080 unknown (destination-not-seen)',
      ])
    const dressed = pod('deployment/web', { labels: { tls: 'true' } })
    const counters = [...mutual(web, api, 8080, { at: [120] }), ...clearHttp(api, 8080, [150])]
    for (const paged of [BOTH, ALONE]) {
      const lines = told(pagedEvidence({ pods: [web, dressed, api], counters }, paged))
      assert.ok(lines.includes(`deployment/web -> deployment/api:8080 ${ALONE_IN_DOUBT}`), lines.join('\n'))
    }
  })

  test('does not bring a pod out of hiding, if it did not see all of the window', () => {
    const hidden = pod('deployment/web', { labels: { instance: 'nowhere' } })
    const cluster = { pods: [web, hidden, api], counters: mutual(web, api, 8080, { at: [120] }) }
    const line = (paged: Paged) => told(pagedEvidence(cluster, { of: (one) => one === hidden, ...paged }))
    assert.deepEqual(line({}), ['deployment/web -> deployment/api:8080 mtls'])
    assert.deepEqual(line({ before: -3540, beforeEnd: -3600 }), [
      'deployment/web -> deployment/api:8080 unknown (labels-overridden)',
    ])
  })

  test('sees a life from its begin, which is up to five seconds before that of its process, and loses what a process did after its last page', () => {
    const line = (changes: Partial<Pod>) => {
      const hidden = pod('deployment/web', { labels: { instance: 'nowhere' }, ...changes })
      const cluster = { pods: [web, hidden, api], counters: mutual(web, api, 8080, { at: [120] }) }
      return told(pagedEvidence(cluster, { of: (one) => one === hidden }))
    }
    const seen = ['deployment/web -> deployment/api:8080 mtls']
    const unseen = ['deployment/web -> deployment/api:8080 unknown (labels-overridden)']
    assert.deepEqual(line({ from: 100, clock: 5 }), seen)
    assert.deepEqual(line({ from: 100, clock: 6 }), unseen)
    assert.deepEqual(line({ restarts: [60] }), seen)
    for (const restart of [61, 64, 66]) assert.deepEqual(line({ restarts: [restart] }), unseen, `${restart}`)
  })

  test('stays in doubt where the label was there in one of the lists only', () => {
    const input = pagedEvidence({ pods: [api, liar], counters: calls(liar, api, 8080) }, ALONE)
    const undressed = (source: AssessInput['before']) =>
      source === null
        ? null
        : {
            ...source,
            lists: source.lists.map((list) =>
              JSON.parse(JSON.stringify(list).replaceAll('"tls":"true",', '').replaceAll(',"tls":"true"', '')),
            ),
          }
    for (const one of [
      { ...input, before: undressed(input.before) },
      { ...input, after: undressed(input.after) },
    ])
      assert.deepEqual(told(one), [`deployment/liar -> deployment/api:8080 ${ALONE_IN_DOUBT}`])
    const honest = { ...input, before: undressed(input.before), after: undressed(input.after) }
    assert.deepEqual(told(honest), ['deployment/liar -> deployment/api:8080 mtls'])
  })
})

/** Names that pod labels may take, and others that decide nothing by themselves. */
const LABELS = [
  'tls',
  'server_id',
  'client_id',
  'exported_tls',
  'dst_deployment',
  'direction',
  'peer',
  'job',
  'instance',
  'pod',
  'linkerd.io/tls',
  'target_port',
  'sni',
  'no_tls_reason',
  'authz_name',
] as const
const PORTS = [80, 8080] as const

/** One thing that a page may say: a side, a port, another pod, and labels of encryption. */
const claim = fc.record({
  side: fc.constantFrom('outbound', 'inbound'),
  port: fc.constantFrom(...PORTS),
  other: fc.nat(3),
  tls: fc.constantFrom<Readonly<Record<string, string>>>(
    { tls: 'true' },
    { tls: 'opaque', sni: 'x' },
    { tls: 'no_identity', no_tls_reason: 'loopback' },
    NO_TLS,
    NO_DISCOVERY,
  ),
  isNamed: fc.boolean(),
  at: fc.constantFrom(-200, 30, 120, 290),
  lasts: fc.constantFrom(5, Infinity),
  bytes: fc.constantFrom(0, 100),
})

const story = fc.record({
  claims: fc.array(claim, { minLength: 1, maxLength: 6 }),
  labels: fc.uniqueArray(fc.constantFrom(...LABELS), { minLength: 1, maxLength: 3 }),
  value: fc.constantFrom('true', '', 'mtls', '8080'),
  // Whom the others saw: a client's word of a port of it, a server's word of its identity, clear traffic without a name.
  called: fc.subarray([...PORTS]),
  seen: fc.subarray([...PORTS]),
  clear: fc.subarray([...PORTS]),
  hasSibling: fc.boolean(),
  hasTwin: fc.boolean(),
  isHalf: fc.boolean(),
  paged: fc.record({ alone: fc.boolean(), before: fc.constantFrom(60, null, -3540), own: fc.constantFrom(301, 360) }),
  scrape: fc.constantFrom('success', 'failure', 'none'),
})

type Story = typeof story extends fc.Arbitrary<infer T> ? T : never

/** A pod in doubt that says whatever it likes, among proxies that tell the truth. */
function worldOf({ claims, labels, value, called, seen, clear, hasSibling, hasTwin, isHalf, paged, scrape }: Story) {
  const doubted = pod('deployment/x', {
    labels: Object.fromEntries(labels.map((name) => [name, value])),
    scrape: () => scrape,
  })
  const [web, api] = [pod('deployment/web'), pod('deployment/api')]
  const others = [
    web,
    api,
    ...(hasSibling ? [pod('deployment/x')] : []),
    ...(hasTwin ? [pod('deployment/twin', { serviceAccount: 'x' })] : []),
    ...(isHalf ? [pod('deployment/web', { meshed: false })] : []),
  ]
  const lies = claims.flatMap(({ side, port, other, tls, isNamed, at, lasts, bytes }): Counter[] => {
    const whom = others[other % others.length] ?? api
    const name = side === 'outbound' ? 'server_id' : 'client_id'
    const said = { ...tls, ...(isNamed ? { [name]: identityOf(whom) } : {}) }
    return tcp(doubted, side === 'outbound' ? outbound(whom, port, said) : inbound(doubted, port, said), {
      at: [at],
      lasts,
      bytes,
    })
  })
  const truth = [
    ...called.flatMap((port) => calls(web, doubted, port)),
    ...seen.flatMap((port) => saw(api, doubted, port)),
    ...clear.flatMap((port) => clearHttp(api, port, [150])),
  ]
  const evidence = (counters: readonly Counter[]) =>
    pagedEvidence(
      { pods: [doubted, ...others], counters },
      { ...paged, ...(paged.before === -3540 ? { beforeEnd: -3600 } : {}) },
    )
  return { lies: evidence([...truth, ...unique(lies)]), truth: evidence(truth) }
}

/** A page holds each series once. */
function unique(counters: readonly Counter[]): Counter[] {
  return [...new Map(counters.map((one) => [JSON.stringify([one.name, one.labels]), one])).values()]
}

describe('No pages that one pod in doubt makes by itself', () => {
  test('turn a row about it to encrypted or exempt, but where another proxy saw it so and nothing in the clear', () => {
    let borneOut = 0
    let refuted = 0
    fc.assert(
      fc.property(story, (one) => {
        const paths = assessWindow(worldOf(one).lies).paths
        for (const { source, destination, port, state } of paths) {
          const isSource = source.name === 'x'
          if (!isSource && destination.name !== 'x') continue
          if (!isEncrypted(state) && state !== 'exempt') {
            refuted++
            continue
          }
          borneOut++
          const line = `${source.name} -> ${destination.name}:${port} ${state}`
          assert.equal(state, 'mtls', line)
          const isPort = PORTS.some((known) => known === port)
          assert.ok(isPort, line)
          const wire = PORTS.filter((known) => known === port)
          if (isSource) {
            assert.equal(destination.name, 'api', line)
            assert.ok(
              wire.every((known) => one.seen.includes(known) && !one.clear.includes(known)),
              line,
            )
            // The server's own word names the identity, whoever has it.
            assert.ok(!one.hasTwin || source.kind === 'serviceaccount', line)
          } else {
            assert.equal(source.name, 'web', line)
            assert.ok(wire.every((known) => one.called.includes(known)) && !one.isHalf, line)
          }
        }
      }),
      { numRuns: 700 },
    )
    assert.ok(borneOut > 25 && refuted > 250, `${borneOut} rows were borne out, ${refuted} were not`)
  })

  test('change a row about others', () => {
    fc.assert(
      fc.property(story, (one) => {
        const { lies, truth } = worldOf(one)
        const others = (input: AssessInput) =>
          linesOf(
            assessWindow(input).paths.filter(
              ({ source, destination }) => source.name !== 'x' && destination.name !== 'x',
            ),
          )
        assert.deepEqual(others(lies), others(truth))
      }),
      { numRuns: 200 },
    )
  })

  test('are of labels that decide', () => {
    assert.ok(LABELS.every((name) => DECIDING.test(name.replace('linkerd.io/', '').replace('exported_', ''))))
  })
})
