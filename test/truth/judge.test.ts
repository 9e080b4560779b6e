import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Coverage, Workload } from '../../lib/model/window.ts'
import type { Endpoint, State } from '../../lib/model/path.ts'
import type { PathRow } from '../../lib/model/history.ts'
import { readEdges, readTruth } from '../support/truth/recordings.ts'
import { confusionTable, edgesTable, judge, parseTruth } from '../support/truth/truth.ts'
import type { Reported, Truth, Verdict } from '../support/truth/truth.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

const WINDOW = { start: '2026-11-24T12:10:00Z', end: '2026-11-24T12:15:00Z' }
const NEXT = { start: '2026-11-24T12:15:00Z', end: '2026-11-24T12:20:00Z' }

type Flows = { mtls?: number; plaintext?: number; app_tls?: number; none?: number; refused?: number }
type TruthRow = {
  src?: string
  dst?: string
  port?: number | string
  proto?: string
  flows: Flows
  opened?: Flows
  next?: Flows
}

const NO_FLOWS = { mtls: 0, plaintext: 0, app_tls: 0, none: 0, refused: 0 }

function truthOf(...paths: TruthRow[]): Truth {
  return parseTruth(
    JSON.stringify({
      start: WINDOW.start,
      end: NEXT.end,
      window_seconds: 300,
      paths: paths.map(({ src, dst, port, proto, flows, opened, next }) => ({
        src: src ?? 'deployment/shop/web',
        dst: dst ?? 'deployment/shop/cart',
        port: port ?? 8080,
        proto: proto ?? 'tcp',
        case: 'one',
        windows: [
          { ...WINDOW, ...NO_FLOWS, ...flows, opened: opened ?? {} },
          ...(next === undefined ? [] : [{ ...NEXT, ...NO_FLOWS, ...next, opened: {} }]),
        ],
      })),
    }),
  )
}

function endOf(text: string): Endpoint {
  const [kind = '', namespace = '', name = ''] = text.split('/')
  return { kind, namespace, name }
}

function rowOf(text: {
  src?: string
  dst?: string
  port?: number
  state: State
  reason?: string
  outcome?: 'refused'
}): PathRow {
  return {
    cluster: 'c',
    class: 'application',
    pathId: '0',
    source: { ...endOf(text.src ?? 'deployment/shop/web'), serviceAccount: null },
    destination: { ...endOf(text.dst ?? 'deployment/shop/cart'), serviceAccount: null, cluster: null },
    port: text.port ?? 8080,
    from: WINDOW.start,
    to: WINDOW.end,
    state: text.state,
    outcome: text.outcome ?? 'allowed',
    reason: text.reason ?? '',
    cause: null,
    fix: null,
    clearShare: null,
    opens: 0,
    openAtScrape: 0,
    bytes: 0,
    corroborated: 'no',
    enforcement: 'unknown',
    candidates: [],
    episode: null,
    waiver: null,
    evidence: [],
  }
}

function workloadOf(name: string, blindSpots: Workload['blindSpots'], serviceAccount = 'default'): Workload {
  return {
    cluster: 'c',
    ...endOf(name),
    serviceAccount,
    meshed: 'yes',
    pods: 1,
    reason: null,
    defaultPolicy: null,
    skipInbound: [],
    skipOutbound: [],
    opaque: [],
    blindSpots,
  }
}

const spot = (
  kind: Workload['blindSpots'][number]['kind'],
  port: string | null = null,
): Workload['blindSpots'][number] => ({
  kind,
  port,
  detail: '',
})

function gapOf(name: string): Coverage {
  return {
    cluster: 'c',
    window: WINDOW,
    workload: endOf(name),
    expectedSeconds: 300,
    observedSeconds: 0,
    ratio: 0,
    pods: { total: 1, meshed: 1, scraped: 0 },
    gaps: [{ reason: 'scrape-refused', pods: 1, from: WINDOW.start, to: WINDOW.end }],
  }
}

function judged(truth: Truth, said: Partial<Reported>, later?: Partial<Reported>) {
  const full = (one: Partial<Reported>): Reported => ({ rows: [], workloads: [], coverage: [], ...one })
  const reported = new Map([[WINDOW.end, full(said)]])
  if (later !== undefined) reported.set(NEXT.end, full(later))
  return judge(truth, reported)
}

function verdictOf(flows: TruthRow | Flows, said: Partial<Reported>): Verdict['verdict'] | undefined {
  return judged(truthOf('flows' in flows ? flows : { flows: flows as Flows }), said).verdicts[0]?.verdict
}

const unmeshed = (state: State, more: { port?: number; reason?: string; outcome?: 'refused' } = {}): PathRow =>
  rowOf({ src: 'unmeshed//', state, ...more })

describe('judge() of a plaintext truth', () => {
  const clear = { plaintext: 1 }

  test('judge() calls it reported by a row of its own or an unnamed one, in either state and outcome', () => {
    for (const state of ['plaintext', 'no-mesh-tls'] as const) {
      assert.equal(verdictOf(clear, { rows: [rowOf({ state })] }), 'reported')
      assert.equal(verdictOf(clear, { rows: [unmeshed(state)] }), 'reported')
      assert.equal(verdictOf(clear, { rows: [unmeshed(state, { outcome: 'refused' })] }), 'reported')
    }
    assert.equal(verdictOf(clear, { rows: [rowOf({ state: 'mtls' }), unmeshed('plaintext')] }), 'reported')
  })

  test('judge() calls it missed by rows of another source, port or destination', () => {
    const rows = [
      rowOf({ src: 'deployment/shop/other', state: 'plaintext' }),
      rowOf({ port: 8081, state: 'plaintext' }),
      rowOf({ dst: 'statefulset/shop/cart', state: 'plaintext' }),
      rowOf({ dst: 'deployment/bank/cart', state: 'plaintext' }),
      unmeshed('plaintext', { port: 8081 }),
    ]
    assert.equal(verdictOf(clear, { rows }), 'missed')
    assert.equal(judged(truthOf({ flows: clear }), { rows }).missed.length, 1)
  })

  test('judge() calls it missed by rows that say nothing was seen, or by another window', () => {
    assert.equal(
      verdictOf(clear, { rows: [rowOf({ state: 'not-observed' }), rowOf({ state: 'not-collected' })] }),
      'missed',
    )
    assert.equal(judged(truthOf({ flows: clear }), {}, { rows: [rowOf({ state: 'plaintext' })] }).missed.length, 1)
  })

  test('judge() calls it flagged by unknown', () => {
    assert.equal(verdictOf(clear, { rows: [rowOf({ state: 'unknown' })] }), 'flagged')
    assert.equal(verdictOf(clear, { rows: [unmeshed('unknown')] }), 'flagged')
  })

  test('judge() calls it false by a row of its own that is encrypted or exempt, though an unnamed one is unknown', () => {
    for (const state of ['mtls', 'tls-anonymous', 'app-tls', 'exempt'] as const) {
      assert.equal(verdictOf(clear, { rows: [rowOf({ state })] }), 'false')
      assert.equal(verdictOf(clear, { rows: [rowOf({ state }), unmeshed('unknown')] }), 'false')
    }
    assert.equal(verdictOf({ plaintext: 1, mtls: 5 }, { rows: [rowOf({ state: 'mtls' })] }), 'false')
  })

  test("judge() lets a kubelet's probe be exempt, and nobody else's", () => {
    const rows = [rowOf({ src: 'probe//', state: 'exempt' })]
    assert.equal(verdictOf({ src: 'kubelet', flows: clear }, { rows }), 'exempt')
    assert.equal(verdictOf({ src: 'kubelet', flows: clear }, { rows: [] }), 'missed')
    assert.equal(verdictOf(clear, { rows }), 'missed')
    assert.equal(verdictOf({ src: 'host/other', flows: clear }, { rows }), 'missed')
  })

  test('judge() takes either of two ports, and any where the wire does not show it', () => {
    const rows = [rowOf({ port: 9090, state: 'plaintext' })]
    assert.equal(verdictOf({ port: '8080|9090', flows: clear }, { rows }), 'reported')
    assert.equal(verdictOf({ port: '4143?', flows: clear }, { rows }), 'reported')
    assert.equal(verdictOf({ port: '8080|8081', flows: clear }, { rows }), 'missed')
  })

  test('judge() takes an address or a host name for an address outside the cluster, and no other address', () => {
    const path = { dst: 'external/203.0.113.10', port: 80, flows: clear }
    const to = (name: string) => ({
      rows: [rowOf({ dst: `external//${name}`, port: 80, state: 'no-mesh-tls' as const })],
    })
    assert.equal(verdictOf(path, to('203.0.113.10')), 'reported')
    assert.equal(verdictOf(path, to('tax.example.com')), 'reported')
    assert.equal(verdictOf(path, to('203.0.113.20')), 'missed')
  })

  test('judge() wants the admin ports listed, and not as the scrape that was mTLS', () => {
    const path = { port: 4191, flows: clear }
    const exempt = (reason: string) => ({ rows: [unmeshed('exempt', { port: 4191, reason })] })
    assert.equal(verdictOf(path, exempt('admin-port (no-mesh-tls)')), 'listed')
    assert.equal(verdictOf(path, exempt('admin-port (mtls)')), 'unlisted')
    assert.equal(verdictOf({ port: 4191, flows: { mtls: 1 } }, exempt('admin-port (mtls)')), 'listed')
  })
})

describe('judge() of a miss', () => {
  const path = { flows: { plaintext: 1 } }
  const web = 'deployment/shop/web'
  const cart = 'deployment/shop/cart'
  const isExcused = (row: TruthRow, said: Partial<Reported>): boolean => {
    const { missed, blind } = judged(truthOf(row), said)
    assert.equal(missed.length + blind.length, 1)
    return blind.length === 1
  }

  test('judge() excuses it only if both ends stand among the blind spots or gaps', () => {
    const [noWeb, noCart] = [workloadOf(web, [spot('unmeshed')]), workloadOf(cart, [spot('unmeshed')])]
    assert.equal(isExcused(path, { workloads: [noWeb, noCart] }), true)
    assert.equal(isExcused(path, { workloads: [noWeb] }), false)
    assert.equal(isExcused(path, { workloads: [noCart] }), false)
    assert.equal(isExcused(path, { workloads: [noWeb], coverage: [gapOf(cart)] }), true)
    assert.equal(isExcused(path, { coverage: [gapOf(cart)] }), false)
    assert.equal(isExcused(path, {}), false)
  })

  test('judge() takes a source that can have no proxy for blind, not its destination', () => {
    assert.equal(isExcused({ ...path, src: 'kubelet' }, { workloads: [workloadOf(cart, [spot('unmeshed')])] }), true)
    assert.equal(isExcused({ ...path, src: 'kubelet' }, {}), false)
  })

  test('judge() asks of a skipped inbound port that it is this one', () => {
    const said = (port: string) => ({
      workloads: [workloadOf(web, [spot('skip-outbound', '80')]), workloadOf(cart, [spot('skip-inbound', port)])],
    })
    assert.equal(isExcused(path, said('8080')), true)
    assert.equal(isExcused(path, said('8000-9000')), true)
    assert.equal(isExcused(path, said('8081')), false)
  })

  test('judge() excuses UDP only if it stands there as UDP', () => {
    const udp = { ...path, proto: 'udp' }
    assert.equal(isExcused(udp, { workloads: [workloadOf(cart, [spot('udp', '8080')])] }), true)
    assert.equal(
      isExcused(udp, { workloads: [workloadOf(web, [spot('unmeshed')]), workloadOf(cart, [spot('unmeshed')])] }),
      false,
    )
  })

  test('judge() marks what the next window reports, and excuses nothing by it', () => {
    const flows = { plaintext: 2 }
    const later = { rows: [rowOf({ state: 'plaintext' })] }
    const late = judged(truthOf({ flows, opened: { plaintext: 2 }, next: {} }), {}, later)
    assert.deepEqual([late.missed.length, late.borderline.length], [1, 1])
    const open = judged(truthOf({ flows, opened: { plaintext: 1 }, next: {} }), {}, later)
    assert.deepEqual([open.missed.length, open.borderline.length], [1, 0])
  })
})

describe('judge() of an mTLS truth', () => {
  const mtls = { mtls: 1 }

  test('judge() calls a row of its own right, a clear one a false alarm, any other unknown, and none absent', () => {
    assert.equal(verdictOf(mtls, { rows: [rowOf({ state: 'mtls' })] }), 'right')
    assert.equal(verdictOf(mtls, { rows: [rowOf({ state: 'plaintext' })] }), 'false-alarm')
    assert.equal(verdictOf(mtls, { rows: [rowOf({ state: 'no-mesh-tls' })] }), 'false-alarm')
    assert.equal(verdictOf(mtls, { rows: [rowOf({ state: 'unknown' })] }), 'unknown')
    assert.equal(verdictOf(mtls, { rows: [rowOf({ state: 'tls-anonymous' })] }), 'unknown')
    assert.equal(verdictOf(mtls, { rows: [rowOf({ state: 'not-observed' })] }), 'absent')
    assert.equal(verdictOf(mtls, { rows: [unmeshed('plaintext')] }), 'absent')
  })

  test('judge() knows a source by the identity that the server saw', () => {
    const rows = [rowOf({ src: 'serviceaccount/shop/web-account', state: 'mtls' })]
    const workloads = [workloadOf('deployment/shop/web', [], 'web-account')]
    assert.equal(verdictOf(mtls, { rows, workloads }), 'right')
    assert.equal(verdictOf(mtls, { rows, workloads: [workloadOf('deployment/shop/web', [], 'other')] }), 'absent')
  })

  test('judge() counts unknown outside gaps only, and excuses absence only where no end could see', () => {
    const unknown = { rows: [rowOf({ state: 'unknown' })] }
    const outside = judged(truthOf({ flows: mtls }), unknown)
    assert.deepEqual([outside.unknown.length, outside.mtlsOutsideGaps], [1, 1])
    const inside = judged(truthOf({ flows: mtls }), { ...unknown, coverage: [gapOf('deployment/shop/web')] })
    assert.deepEqual([inside.unknown.length, inside.mtlsOutsideGaps], [0, 0])
    const half = judged(truthOf({ flows: mtls }), { coverage: [gapOf('deployment/shop/web')] })
    assert.equal(half.absent.length, 1)
    const both = [gapOf('deployment/shop/web'), gapOf('deployment/shop/cart')]
    assert.equal(judged(truthOf({ flows: mtls }), { coverage: both }).absent.length, 0)
  })
})

describe('judge() of what carried no clear payload', () => {
  test('judge() asks nothing of connections without payload or refused ones', () => {
    assert.equal(verdictOf({ none: 3 }, {}), 'fine')
    assert.equal(verdictOf({ refused: 3 }, {}), 'fine')
    assert.deepEqual(judged(truthOf({ flows: {} }), {}).verdicts, [])
  })

  test("judge() calls the application's own TLS false where it is said to be the mesh's", () => {
    assert.equal(verdictOf({ app_tls: 1 }, { rows: [rowOf({ state: 'mtls' })] }), 'false')
    assert.equal(verdictOf({ app_tls: 1 }, { rows: [rowOf({ state: 'no-mesh-tls' })] }), 'fine')
    assert.equal(verdictOf({ app_tls: 1 }, { rows: [unmeshed('app-tls')] }), 'fine')
  })

  test('judge() names rows that accuse a port to which only mTLS went', () => {
    const { phantoms } = judged(truthOf({ flows: { mtls: 1 } }), {
      rows: [rowOf({ state: 'mtls' }), unmeshed('plaintext')],
    })
    assert.deepEqual(phantoms, [{ end: WINDOW.end, row: 'unmeshed -> deployment/shop/cart:8080 plaintext allowed' }])
    assert.deepEqual(judged(truthOf({ flows: { plaintext: 1 } }), { rows: [unmeshed('plaintext')] }).phantoms, [])
  })
})

describe('parseTruth()', () => {
  test('parseTruth() puts a window that the recording cut to the one on the clock', () => {
    const cut = { start: '2026-11-24T13:35:00Z', end: '2026-11-24T13:37:22Z', ...NO_FLOWS, mtls: 1, opened: {} }
    const path = { src: 'a/b/c', dst: 'd/e/f', port: 1, proto: 'tcp', windows: [cut] }
    const truth = parseTruth(JSON.stringify({ start: cut.start, end: cut.end, window_seconds: 300, paths: [path] }))
    assert.equal(truth.paths[0]?.windows[0]?.end, '2026-11-24T13:40:00Z')
    assert.equal(truth.paths[0]?.windows[0]?.start, '2026-11-24T13:35:00Z')
  })

  test('parseTruth() refuses a port that it does not know how to read', () => {
    assert.throws(() => truthOf({ port: 'http', flows: {} }), /Cannot read port "http"/)
  })
})

describe('confusionTable() and edgesTable()', () => {
  test('confusionTable() counts path-windows by truth and by what was said', () => {
    const truth = truthOf(
      { flows: { plaintext: 1 } },
      { port: 9090, flows: { mtls: 1 } },
      { port: 4191, flows: { mtls: 1 } },
    )
    const rows = [unmeshed('no-mesh-tls'), rowOf({ port: 9090, state: 'mtls' })]
    matchesText(confusionTable(judged(truth, { rows })).split('\n'), [
      TEXT,
      '| --- | --: | --: | --: | --: | --: | --: | --: |',
      '| mtls | 0 | 0 | 0 | 0 | 1 | 0 | 0 |',
      '| plaintext | 1 | 0 | 0 | 0 | 0 | 0 | 0 |',
    ])
  })

  test('edgesTable() comes to the figures that were counted by hand on the public recording', () => {
    const folder = join(import.meta.dirname, '..', 'fixtures', 'public')
    const edges = readEdges({ folder, lists: [] }, 'workloads')
    assert.deepEqual(edgesTable(readTruth(folder), edges).split('\n').slice(2), [
      '| mtls | 126 | 10 | 0 | 41 |',
      '| plaintext | 0 | 64 | 0 | 183 |',
      '| plaintext and mtls | 1 | 9 | 2 | 0 |',
      '| application TLS | 0 | 0 | 0 | 20 |',
      '| no payload | 0 | 0 | 0 | 10 |',
    ])
  })
})
