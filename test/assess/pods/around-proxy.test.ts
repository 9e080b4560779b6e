import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fixOf } from '../../../lib/assess/fixes/fix-text.ts'
import { aroundProxy } from '../../../lib/assess/pods/around-proxy.ts'
import { factsOf } from '../../../lib/assess/pods/facts.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { type SyntheticCluster, assessed, evidenceOf, linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, WINDOW, pod } from '../../support/mesh/synthetic-pods.ts'
import { clearHttp, mutual } from '../../support/mesh/synthetic-prometheus.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const OFF = ['--ipv6=false']
const dual = (owner: string, number: number, changes: Partial<Pod> = {}) =>
  pod(owner, { ip: `10.4.0.${number}`, moreIps: [`fd00:4::${number}`], initArgs: OFF, ...changes })
const service = (families?: readonly string[], more: object = {}) => ({
  metadata: { name: `api-${families?.join('-') ?? 'old'}`, namespace: 'shop' },
  spec: {
    selector: { app: 'api' },
    ports: [{ port: 80 }],
    ...(families === undefined ? {} : { ipFamilies: families }),
    ...more,
  },
})

/** What is said of web to api, all of which that the proxies saw was mTLS. */
function said(web: Pod, api: Pod, services: readonly object[] = [], more: Partial<SyntheticCluster> = {}): string[] {
  const counters = mutual(web, api, 8080)
  return linesOf(assessed({ pods: [web, api], counters, objects: () => ({ services }), ...more }).paths)
}

const MTLS = ['deployment/web -> deployment/api:8080 mtls']
const AROUND = ['deployment/web -> deployment/api:8080 unknown (ipv6-not-proxied)']

describe('IPv6 that goes around the proxies', () => {
  const [web, api] = [dual('deployment/web', 1), dual('deployment/api', 2)]

  test('makes a path unknown that could have used it', () => {
    assert.deepEqual(said(web, api), AROUND)
    for (const families of [['IPv4', 'IPv6'], ['IPv6'], undefined, []])
      assert.deepEqual(said(web, api, [service(['IPv4']), service(families)]), AROUND, String(families))
  })

  test('does not where the destination has Services, and all of them are of IPv4 alone', () => {
    assert.deepEqual(said(web, api, [service(['IPv4'])]), MTLS)
    assert.deepEqual(said(web, api, [service(['IPv4']), service(['IPv4'], { clusterIP: 'None' })]), MTLS)
    // Another workload's Service says nothing.
    assert.deepEqual(said(web, api, [service(['IPv4'], { selector: { app: 'other' } })]), AROUND)
    assert.deepEqual(said(web, api, [service(['IPv4']), service(['IPv6'], { selector: { app: 'other' } })]), MTLS)
  })

  test('does where somebody wrote its IPv6 address as an endpoint', () => {
    const objects = () => ({
      services: [service(['IPv4'])],
      'endpointslices.discovery.k8s.io': [
        {
          metadata: { name: 'by-hand', namespace: 'shop' },
          addressType: 'IPv6',
          endpoints: [{ addresses: api.moreIps }],
        },
      ],
    })
    assert.deepEqual(said(web, api, [], { objects }), AROUND)
  })

  test('needs an IPv6 address at both ends that is not led to the proxy', () => {
    assert.deepEqual(said(dual('deployment/web', 1, { moreIps: [] }), api), MTLS)
    assert.deepEqual(said(web, dual('deployment/api', 2, { moreIps: [] })), MTLS)
    // proxy-init's own default is that IPv6 is led there, too.
    for (const initArgs of [[], ['--ipv6=true'], ['--ipv6']]) {
      assert.deepEqual(said(dual('deployment/web', 1, { initArgs }), api), MTLS, initArgs.join())
      assert.deepEqual(said(web, dual('deployment/api', 2, { initArgs })), MTLS, initArgs.join())
    }
    for (const value of ['0', 'f', 'F', 'FALSE', 'False'])
      assert.deepEqual(said(dual('deployment/web', 1, { initArgs: [`--ipv6=${value}`] }), api), AROUND, value)
  })

  test('is told by a destination that has it in its proxy', () => {
    const seeing = dual('deployment/api', 2, { initArgs: [] })
    const counters = [...mutual(web, seeing, 8080), ...clearHttp(seeing, 8080)]
    assert.ok(linesOf(assessed({ pods: [web, seeing], counters }).paths).includes(AROUND[0] ?? ''))
  })

  test('is a blind spot of each workload that has an address of it', () => {
    const { workloads } = assessed({ pods: [web, dual('deployment/api', 2, { moreIps: [] })] })
    assert.deepEqual(
      workloads.map(({ name, blindSpots }) => [name, blindSpots.map(({ kind }) => kind)]),
      [
        ['api', []],
        ['web', ['ipv6']],
      ],
    )
  })

  test('without linkerd-init is what the settings of the control plane say', () => {
    const config = (values: string) => ({
      configmaps: [{ metadata: { name: 'linkerd-config', namespace: 'linkerd' }, data: { values } }],
    })
    const kinds = (values: string) => {
      const { workloads } = assessed({ pods: [{ ...web, hasInit: false }], objects: () => config(values) })
      return workloads.flatMap(({ blindSpots }) => blindSpots.map(({ kind }) => kind))
    }
    assert.deepEqual(kinds('cniEnabled: true'), ['ipv6'])
    assert.deepEqual(kinds('cniEnabled: true\ndisableIPv6: true'), ['ipv6'])
    assert.deepEqual(kinds('cniEnabled: true\ndisableIPv6: false'), [])
  })

  test('never makes anything of a path better than it is without', () => {
    const families = fc.option(fc.subarray(['IPv4', 'IPv6']), { nil: undefined })
    const args = fc.constantFrom([], OFF)
    fc.assert(
      fc.property(args, args, fc.array(families, { maxLength: 3 }), (ofWeb, ofApi, all) => {
        const lines = said(
          dual('deployment/web', 1, { initArgs: ofWeb }),
          dual('deployment/api', 2, { initArgs: ofApi }),
          all.map((one, index) => ({ ...service(one), metadata: { name: `api-${index}`, namespace: 'shop' } })),
        )
        const isByIPv4 = all.length > 0 && all.every((one) => one?.join() === 'IPv4')
        assert.deepEqual(lines, ofWeb.length > 0 && ofApi.length > 0 && !isByIPv4 ? AROUND : MTLS)
      }),
    )
  })
})

describe('An init container that runs before linkerd-init', () => {
  const api = pod('deployment/api')
  const starting = (changes: Partial<Pod> = {}) =>
    pod('deployment/web', { nativeSidecar: false, earlyInit: ['migrate'], from: 60, ...changes })
  const clear = (pods: readonly Pod[]) =>
    assessed({ pods: [api, ...pods], counters: clearHttp(api, 8080) }).paths.find(({ port }) => port === 8080)

  test('is a blind spot with its name', () => {
    const { workloads } = assessed({ pods: [starting()] })
    matchesText(workloads[0]?.blindSpots, [{ kind: 'init-container', port: null, detail: TEXT }])
    assert.deepEqual(assessed({ pods: [pod('deployment/web', { nativeSidecar: false })] }).workloads[0]?.blindSpots, [])
    const bare = pod('deployment/web', { meshed: false, earlyInit: ['migrate'] })
    assert.deepEqual(
      assessed({ pods: [bare] }).workloads[0]?.blindSpots.map(({ kind }) => kind),
      ['unmeshed'],
    )
  })

  test('may be the client of a clear connection, so that nobody is told to mesh one', () => {
    const path = clear([starting()])
    assert.equal(path?.cause, 'init-container')
    assert.match(fixOf(path) ?? '', /native-sidecar/)
  })

  test('is not where its pod began long before the window', () => {
    assert.equal(clear([starting({ from: -3600 })])?.cause, 'source-not-meshed')
    assert.equal(clear([pod('deployment/web', { from: 60 })])?.cause, 'source-not-meshed')
  })

  test('makes a path of its workload unknown where the port saw clear traffic', () => {
    const old = pod('deployment/web')
    const paths = (pods: readonly Pod[], counters: SyntheticCluster['counters']) =>
      linesOf(assessed({ pods: [api, ...pods], counters: [...mutual(old, api, 8080), ...(counters ?? [])] }).paths)
    const [line] = paths([old, starting()], clearHttp(api, 8080))
    assert.equal(line, 'deployment/web -> deployment/api:8080 unknown (source-partly-unmeshed (1 of 2))')
    assert.deepEqual(paths([old, starting()], []), MTLS)
    assert.ok(paths([old], clearHttp(api, 8080)).includes(MTLS[0] ?? ''))
  })
})

test('aroundProxy() asks of a source that is known by its ServiceAccount only the pods that have it', () => {
  const pods = [
    dual('deployment/web', 1, { serviceAccount: 'web' }),
    dual('deployment/batch', 2, { serviceAccount: 'batch' }),
    dual('deployment/api', 3),
    pod('deployment/plain', { serviceAccount: 'plain' }),
    pod('deployment/web', { namespace: 'bank', serviceAccount: 'web' }),
  ]
  const { before, after } = evidenceOf({ pods })
  const listed = (lists: typeof before) => (lists === null ? null : listedOf(lists.lists, toSeconds(lists.takenAt)))
  const facts = factsOf(
    listed(before),
    listed(after),
    { start: toSeconds(WINDOW.start), end: toSeconds(WINDOW.end) },
    'linkerd',
  )
  const destination = { kind: 'deployment', namespace: 'shop', name: 'api', serviceAccount: null, cluster: null }
  const reasonOf = (namespace: string, name: string) =>
    aroundProxy(
      { source: { kind: 'serviceaccount', namespace, name, serviceAccount: name }, destination },
      facts,
      false,
    )?.reason ?? null
  assert.equal(reasonOf('shop', 'web'), 'ipv6-not-proxied')
  assert.equal(reasonOf('shop', 'plain'), null)
  assert.equal(reasonOf('bank', 'web'), null)
  assert.equal(reasonOf('shop', 'nobody'), null)
})
