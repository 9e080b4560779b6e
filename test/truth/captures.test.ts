import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { DEMO_FIXTURE } from '../../demo/fixture.ts'
import { endNamer } from '../../lib/assess/packets/flow-ends.ts'
import type { ReadFlow } from '../../lib/assess/packets/flow-verdict.ts'
import { toTime } from '../../lib/time/windows.ts'
import type { Endpoint } from '../../lib/model/path.ts'
import { captureNames, captureRows, fixtureLists, flowsOf } from '../support/truth/captures.ts'
import { readTruth } from '../support/truth/recordings.ts'
import type { Truth, TruthWindow } from '../support/truth/truth.ts'

const TEST = join(import.meta.dirname, '..')

/** The recordings that captures were taken in, and where their lists and their truth lie. */
const RECORDINGS = {
  demo: { fixture: DEMO_FIXTURE, truth: join(TEST, 'recordings/demo') },
  public: { fixture: join(TEST, 'fixtures/public'), truth: join(TEST, 'fixtures/public') },
} as const

/** From where the node's own programs, the kubelet first, speak to pods. */
const NODE = '10.244.0.1'

type NamedFlow = { readonly flow: ReadFlow; readonly source: string; readonly destination: string }

function namedFlows(name: string, fixture: string): NamedFlow[] {
  const flows = flowsOf(captureRows(name)).filter(({ isLoopback }) => !isLoopback)
  const start = Math.min(...flows.map(({ from }) => from))
  const nameOf = endNamer(
    fixtureLists(fixture, toTime(Math.floor(start))),
    { start, end: Math.max(...flows.map(({ to }) => to)) },
    'linkerd',
  )
  const word = (end: ReadFlow['client']): string => wordOf(nameOf(end)) ?? `external/${end.address}`
  return flows.map((flow) => ({ flow, source: word(flow.client), destination: word(flow.server) }))
}

/** A service is told by its name: in the recordings its workload has the same, of whichever kind. */
function wordOf(end: Endpoint | null): string | null {
  if (end === null) return null
  return `${end.kind === 'service' ? '*' : end.kind}/${end.namespace}/${end.name}`
}

/** What the truth has of a flow: all flows of its ends and port in the windows that it touched. */
function truthsOf({ flow, source, destination }: NamedFlow, truth: Truth): TruthWindow['flows'][] {
  const isNode = flow.client.address === NODE
  const fits = (pattern: string, name: string): boolean =>
    pattern.startsWith('*/') ? name.endsWith(pattern.slice(1)) : name === pattern
  return truth.paths
    .filter(
      (path) =>
        path.protocol === flow.protocol &&
        fits(destination, path.destination) &&
        (isNode ? /^(kubelet|host)/.test(path.source) : fits(source, path.source)) &&
        // To the proxies' port the wire does not show which port of the application is meant.
        (flow.server.port === 4143 || path.ports === null || path.ports.includes(flow.server.port)),
    )
    .flatMap(({ windows }) => windows)
    .filter(({ start, end }) => Date.parse(start) / 1000 <= flow.to && Date.parse(end) / 1000 >= flow.from)
    .map(({ flows }) => flows)
}

/** The classes of the truth that a verdict may stand for. */
function classesOf({ verdict, reason, tls }: ReadFlow): (keyof TruthWindow['flows'])[] {
  if (verdict === 'clear' || reason === 'udp') return ['plaintext']
  if (verdict === 'tls') return tls?.identity === null ? ['app_tls'] : ['mtls']
  // The connections of a mesh live long: these began before the capture.
  if (reason === 'handshake-not-captured') return ['mtls', 'app_tls']
  return verdict === 'no-payload' ? ['none'] : []
}

describe('Recorded captures, and what was on the wire', () => {
  for (const name of captureNames().filter((one) => !one.startsWith('raw-')))
    test(`the flows of ${name} are what the truth says`, (context) => {
      const { fixture, truth: folder } = RECORDINGS[name.startsWith('demo-') ? 'demo' : 'public']
      const truth = readTruth(folder)
      const flows = namedFlows(name, fixture)
      const counts = new Map<string, number>()
      for (const one of flows) {
        const { flow, source, destination } = one
        const told = `${source} -> ${destination}:${flow.server.port} ${flow.verdict} ${flow.reason}`
        // The cluster's DNS, and pods of another namespace, are not part of the recordings.
        if (destination === '*/kube-system/kube-dns' || destination === 'external/10.244.0.8') continue
        const found = truthsOf(one, truth)
        assert.ok(found.length > 0, `The truth knows no ${told}`)
        assert.ok(
          classesOf(flow).some((kind) => found.some((window) => window[kind] > 0)),
          `${told}, the truth says ${JSON.stringify(found)}`,
        )
        const kind = `${flow.verdict} ${flow.reason}`.trim()
        counts.set(kind, (counts.get(kind) ?? 0) + 1)
      }
      assert.ok(counts.size > 0)
      context.diagnostic([...counts].map(([kind, count]) => `${count} ${kind}`).join(', '))
    })

  test('the flows of raw-backend are what its markers and its handshakes say', () => {
    const flows = flowsOf(captureRows('raw-backend'))
    const counts = new Map<string, number>()
    for (const { server, verdict, reason, tls, isLoopback } of flows) {
      assert.ok(!isLoopback)
      const identity = tls?.identity ? ` ${tls.version} ${tls.identity.serviceAccount}.${tls.identity.namespace}` : ''
      const kind = `${server.port} ${verdict} ${reason}`.trim() + identity
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    assert.deepEqual(
      [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      [
        ['4143 tls TLS 1.3 backend.shop', 3],
        ['4143 unknown handshake-not-captured', 2],
        ['4190 tls TLS 1.3 backend.shop', 1],
        ['4190 unknown handshake-not-captured', 1],
        ['4191 clear begins-without-tls', 10],
        ['4191 no-payload', 3],
        ['4191 unknown handshake-not-captured', 1],
        ['6379 clear begins-without-tls', 1],
        ['7000 clear begins-without-tls', 2],
        ['8080 clear begins-without-tls', 5],
        ['8080 clear text', 2],
        ['8081 clear begins-without-tls', 6],
        ['8081 no-payload', 5],
        ['8086 unknown handshake-not-captured', 1],
        ['8090 unknown handshake-not-captured', 1],
        ['9000 clear begins-without-tls', 1],
      ],
    )
  })
})
