import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { WANTED_SHARE } from '../../../lib/assess/judge/stored-scope.ts'
import { atWantedShare } from '../../../lib/assess/judge/wanted.ts'
import { rulePeriod, subjectKey } from '../../../lib/assess/judge/rule.ts'
import { RULES } from '../../../lib/assess/judge/rules.ts'
import { endName } from '../../../lib/assess/judge/waived.ts'
import type { ClusterPeriod, PacketDifference } from '../../../lib/model/period.ts'
import type { Crypto, VizDifference } from '../../../lib/model/window.ts'
import type { State } from '../../../lib/model/path.ts'
import { VERDICTS } from '../../../lib/model/judgement.ts'
import type { Subject, Verdict } from '../../../lib/model/judgement.ts'
import { CRYPTO, HOURS, UNMESHED, anyPeriod, path, period, vizDifference } from '../../support/stored/judged-period.ts'
import { coverageOf, hours, workload } from '../../support/stored/report-input.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

function check(id: string, cluster: ClusterPeriod) {
  const rule = RULES.find((one) => one.id === id)
  assert.ok(rule)
  return rule.check(rulePeriod(cluster, HOURS, WANTED_SHARE)).map((finding) => atWantedShare(finding, WANTED_SHARE))
}

function nameOf(subject: Subject): string {
  switch (subject.kind) {
    case 'path':
      return `${endName(subject.source)} ${endName(subject.destination)}:${subject.port}`
    case 'port':
      return `${endName(subject.workload)}:${subject.port}`
    case 'workload':
      return endName(subject.workload)
    case 'cluster':
      return subject.cluster
  }
}

/** What a rule says of each subject. */
function verdicts(id: string, cluster: ClusterPeriod): Record<string, Verdict> {
  return Object.fromEntries(check(id, cluster).map(({ subject, verdict }) => [nameOf(subject), verdict]))
}

/** What a rule says of the only subject, or of the first. */
function verdict(id: string, cluster: ClusterPeriod): Verdict | undefined {
  return check(id, cluster)[0]?.verdict
}

/** What is expected of every subject, or of each where they differ. */
type Case = readonly [what: string, expected: Verdict | readonly Verdict[], period: ClusterPeriod]

function table(id: string, cases: readonly Case[]): void {
  for (const [what, expected, cluster] of cases) {
    const findings = check(id, cluster)
    assert.ok(findings.length > 0, what)
    const wanted = typeof expected === 'string' ? findings.map(() => expected) : expected
    const told = findings.map(({ subject, detail }) => `${nameOf(subject)}: ${detail}`).join('\n')
    assert.deepEqual(
      findings.map((finding) => finding.verdict),
      wanted,
      `${what}: ${told}`,
    )
    for (const { detail } of findings) assert.match(detail, /^[A-Z][^\n]*[^.\s]$/, what)
  }
}

const clear = { state: 'plaintext', reason: 'no_tls_from_remote' } as const
const missing = (...indexes: number[]) => ({ windows: hours({ ...HOURS, missing: indexes }) })

test('RULES has one rule for each file of lib/assess/judge/rules, with the name of the file', () => {
  const files = readdirSync(new URL('../../../lib/assess/judge/rules/', import.meta.url)).map((file) =>
    file.replace('.ts', ''),
  )
  assert.deepEqual(RULES.map(({ id }) => id).toSorted(), files.toSorted())
  assert.equal(files.length, 14)
  for (const { title, why, needs } of RULES) {
    assert.match(title, /^[A-Z].{10,60}[^.]$/)
    for (const text of [why, needs]) assert.match(text, /^[A-Za-z].{30,}\.$/s)
    for (const text of [title, why, needs]) assert.doesNotMatch(text, /\b(secure|compliant|all good)\b/i)
  }
})

/** A path to the Kubernetes API, exempt in the first half. */
const apiPath = (then: Parameters<typeof path>[0] = []) =>
  path([{ to: 5, state: 'exempt', reason: 'kubernetes-api (no-mesh-tls)' }, ...then], {
    destination: workload('service', 'default', 'kubernetes'),
    port: 6443,
  })

test('path-is-encrypted judges a path on all of its windows, the worst first', () => {
  table('path-is-encrypted', [
    ['mutual TLS', 'pass', period()],
    ['TLS without an identity', 'pass', period([path([{ state: 'tls-anonymous' }])])],
    ['TLS of the application', 'pass', period([path([{ state: 'app-tls' }])])],
    ['one window in the clear', 'fail', period([path([{ to: 10 }, { from: 11, ...clear }])])],
    ['one window without mesh TLS', 'fail', period([path([{ to: 10 }, { from: 11, state: 'no-mesh-tls' }])])],
    [
      'a clear one, an unknown one',
      'fail',
      period([
        path([
          { to: 5, state: 'unknown' },
          { from: 6, ...clear },
        ]),
      ]),
    ],
    ['one unknown window', 'not-enough-evidence', period([path([{ to: 10 }, { from: 11, state: 'unknown' }])])],
    ['one window not collected', 'not-enough-evidence', period([path()], missing(3))],
    ['quiet in a wholly collected period', 'not-applicable', period([path([{ state: 'not-observed' }])])],
    [
      'quiet, but one window was not collected',
      'not-enough-evidence',
      period([path([{ state: 'not-observed' }])], missing(3)),
    ],
    ['all refused', 'not-applicable', period([path([{ ...clear, outcome: 'refused' }])])],
    ['refused of unknown state', 'not-enough-evidence', period([path([{ state: 'unknown', outcome: 'refused' }])])],
    [
      'refused, then let in',
      'fail',
      period([
        path([
          { to: 5, ...clear, outcome: 'refused' },
          { from: 6, ...clear },
        ]),
      ]),
    ],
    ['exempt', 'not-applicable', period([path([{ state: 'exempt' }])])],
    [
      'a window not collected before it was first seen',
      'not-enough-evidence',
      period([path([{ from: 4 }])], missing(1)),
    ],
    ['quiet windows before it was first seen', 'pass', period([path([{ from: 4 }])])],
    [
      'exempt, one window not collected',
      'not-enough-evidence',
      period([path([{ state: 'exempt', reason: 'no payload' }])], missing(3)),
    ],
    [
      'the port of the proxy itself',
      'not-applicable',
      period([path([{ state: 'exempt', reason: 'admin-port (no-mesh-tls)' }])], missing(3)),
    ],
    ['TLS to the Kubernetes API', 'not-applicable', period([apiPath([])], missing(3))],
    [
      'TLS to the Kubernetes API, one window not known',
      'not-enough-evidence',
      period([apiPath([{ from: 6, state: 'unknown' }])]),
    ],
    ['TLS to the Kubernetes API, and plaintext', 'fail', period([apiPath([{ from: 6, ...clear }])])],
    [
      'probes',
      'not-applicable',
      period([path([{ state: 'exempt' }], { source: { ...UNMESHED, kind: 'probe' } })], missing(3)),
    ],
    ['no probe after all', 'fail', period([path([clear], { source: { ...UNMESHED, kind: 'probe' } })])],
    [
      'probes, and what may be none',
      'not-enough-evidence',
      period([
        path(
          [
            { to: 5, state: 'exempt' },
            { from: 6, state: 'unknown' },
          ],
          { source: { ...UNMESHED, kind: 'probe' } },
        ),
      ]),
    ],
    [
      'the port of the proxy itself, and what else was exempt',
      'not-enough-evidence',
      period(
        [
          path([
            { to: 5, state: 'exempt', reason: 'admin-port (no-mesh-tls)' },
            { from: 6, state: 'exempt', reason: 'no payload' },
          ]),
        ],
        missing(3),
      ),
    ],
  ])
})

test('path-is-encrypted says how often, since when and why', () => {
  const story = path([{ to: 5 }, { from: 6, to: 8, ...clear }, { from: 9 }])
  const [finding] = check('path-is-encrypted', period([{ ...story, isQuiet: (index) => index === 7 }]))
  matchesText(finding?.detail)
})

test('path-is-encrypted says how much of the traffic is not told, and what was', () => {
  const [all, some] = [path([{ state: 'unknown', reason: 'x' }]), path([{ to: 8 }, { from: 9, state: 'unknown' }])].map(
    (one) => check('path-is-encrypted', period([one]))[0],
  )
  assert.deepEqual([all?.seen?.told, all?.seen?.share, some?.seen?.told, some?.seen?.share], [0, 0, 0.75, 0.75])
  assert.match(all?.detail ?? '', /unknown in 12 windows \(x\)/)
  matchesText(some?.detail)
})

test('path-is-encrypted lacks evidence for one window of a doubt that may hide clear traffic, whatever share is wanted', () => {
  const rule = RULES.find(({ id }) => id === 'path-is-encrypted')
  assert.ok(rule)
  for (const [reason, expected] of [
    ['labels-overridden', 'not-enough-evidence'],
    ['labels-overridden (not corroborated)', 'not-enough-evidence'],
    ['instance-not-confirmed', 'not-enough-evidence'],
    ['source-partly-unmeshed (1 of 2)', 'not-enough-evidence'],
    ['source-partly-unmeshed (no list)', 'not-enough-evidence'],
    ['destination-not-seen', 'pass'],
  ] as const) {
    const doubted = period([path([{ to: 10 }, { from: 11, state: 'unknown', reason }])])
    const verdictsOf: Verdict[] = rule
      .check(rulePeriod(doubted, HOURS, 0.5))
      .map((one) => atWantedShare(one, 0.5).verdict)
    assert.deepEqual(verdictsOf, [expected], reason)
  }
})

test('path-is-mutual wants an identity at both ends', () => {
  table('path-is-mutual', [
    ['mutual TLS', 'pass', period()],
    ['one window without an identity', 'fail', period([path([{ to: 10 }, { from: 11, state: 'tls-anonymous' }])])],
    ['one window in the clear', 'fail', period([path([{ to: 10 }, { from: 11, ...clear }])])],
    ['TLS of the application', 'not-enough-evidence', period([path([{ to: 10 }, { from: 11, state: 'app-tls' }])])],
    ['not collected', 'not-enough-evidence', period([path()], missing(3))],
    ['quiet', 'not-applicable', period([path([{ state: 'not-observed' }])])],
  ])
})

test('inbound-plaintext-absent says so only of a port of which everything was seen', () => {
  const db = workload('deployment', 'shop', 'db')
  const unnamed = path([clear], { pathId: 'b2', source: UNMESHED })
  const gap = (_: number, window: { start: string; end: string }) => [
    { reason: 'scrape-failed' as const, pods: 1, from: window.start, to: window.end },
  ]
  const skips = (kind: 'skip-inbound' | 'skip-outbound' | 'skip-subnet', port: string | null) =>
    period([path()], { history: { bypasses: [{ kind, port, detail: '' }] } })
  const meshed = (changes: object) =>
    period([path()], { history: { meshed: { yes: 0, no: 0, partly: 0, unknown: 0, ...changes } } })
  table('inbound-plaintext-absent', [
    ['encrypted, all seen', 'pass', period()],
    ['an unnamed client in the clear', 'fail', period([path(), unnamed])],
    ['refused', 'pass', period([path(), path([{ ...clear, outcome: 'refused' }], { pathId: 'b2', source: UNMESHED })])],
    [
      'not-enough-evidence',
      'not-enough-evidence',
      period([path(), path([{ state: 'unknown' }], { pathId: 'b2', source: UNMESHED })]),
    ],
    ['a window not collected', 'not-enough-evidence', period([path([{ from: 4 }])], missing(1))],
    [
      'a gap',
      'not-enough-evidence',
      period([path()], { coverage: coverageOf('prod', hours(HOURS), db, { gapsOf: gap }) }),
    ],
    ['pods without a proxy', 'not-enough-evidence', meshed({ yes: 11, partly: 1 })],
    ['not known to have one', 'not-enough-evidence', meshed({ yes: 11, unknown: 1 })],
    ['a list that was not read', 'not-enough-evidence', period([path()], { facts: { listedWindows: 11 } })],
    ['in no list', 'not-enough-evidence', period([path()], { facts: { workloads: [] } })],
    ['labels that may say anything', 'not-enough-evidence', period([path()], { history: { overriding: ['tls'] } })],
    ['the port goes around the proxy', 'not-enough-evidence', skips('skip-inbound', '80')],
    ['it lies in a range that does', 'not-enough-evidence', skips('skip-inbound', '79-90')],
    ['a subnet goes around the proxy', 'not-enough-evidence', skips('skip-subnet', null)],
    ['another port goes around the proxy', 'pass', skips('skip-inbound', '81')],
    ['what goes out goes around the proxy', 'pass', skips('skip-outbound', '80')],
    ['no traffic', 'not-applicable', period([path([{ state: 'not-observed' }])])],
  ])
  const others = [
    path([{}], { destination: workload('external', '', 'tax.example') }),
    path([{}], { destination: { ...db, cluster: 'east' } }),
  ]
  assert.deepEqual(check('inbound-plaintext-absent', period(others)), [], 'ports of others')
})

test('plaintext-is-refused goes by policy, and by what was let in against it', () => {
  const by = (...all: ('plaintext-refused' | 'plaintext-allowed' | 'audited' | 'unknown')[]) =>
    period(all.map((enforcement, index) => path([{ more: { enforcement } }], { pathId: `a${index}` })))
  table('plaintext-is-refused', [
    ['refused', 'pass', by('plaintext-refused')],
    ['allowed on one path', 'fail', by('plaintext-refused', 'plaintext-allowed')],
    ['audited', 'fail', by('audited')],
    ['unknown', 'not-enough-evidence', by('plaintext-refused', 'unknown')],
    ['refused, but let in', 'fail', period([path(), path([clear], { pathId: 'b2', source: UNMESHED })])],
    ['refused what came', 'pass', period([path([{ ...clear, outcome: 'refused' }], { source: UNMESHED })])],
    ['not collected', 'not-enough-evidence', period([path()], missing(3))],
    ['no traffic', 'not-applicable', period([path([{ state: 'not-observed', more: { enforcement: 'unknown' } }])])],
    [
      'no traffic, and not all collected',
      'not-enough-evidence',
      period([path([{ state: 'not-observed', more: { enforcement: 'unknown' } }])], missing(3)),
    ],
    ['exempt', 'not-applicable', period([path([{ state: 'exempt' }])])],
  ])
})

test('rules about traffic have nothing to judge of exempt traffic, also over gaps and quiet windows', () => {
  const adminPort = () =>
    path(
      [
        { to: 5, state: 'exempt', reason: 'admin-port (mtls)' },
        { from: 6, state: 'not-observed', more: { enforcement: 'unknown' } },
      ],
      { port: 4191 },
    )
  const probes = path([{ to: 5, state: 'exempt', reason: 'probe path' }], { source: { ...UNMESHED, kind: 'probe' } })
  const other = path([{ state: 'unknown', more: { enforcement: 'unknown' } }], {
    pathId: 'b2',
    port: 4191,
    source: UNMESHED,
  })
  for (const rule of [
    'path-is-encrypted',
    'path-is-mutual',
    'inbound-plaintext-absent',
    'plaintext-is-refused',
    'identity-is-expected',
    'sources-agree',
  ])
    table(rule, [
      ['the port of the proxy itself', 'not-applicable', period([adminPort()], missing(3))],
      ['probes', 'not-applicable', period([probes], missing(3))],
    ])
  table('plaintext-is-refused', [
    ['the port of the proxy, and who else may have called', 'not-enough-evidence', period([adminPort(), other])],
  ])
})

test('sources-agree fails a path of the port of a proxy that linkerd viz edges shows otherwise', () => {
  const differences = [vizDifference('a1', { reason: '', state: 'plaintext' })]
  const made = path([{ state: 'exempt', reason: 'admin-port (mtls)' }], { port: 4191 })
  table('sources-agree', [['a tick', 'fail', period([made], { facts: { viz: { compared: 1, differences } } })]])
})

test('workload-is-meshed judges every window in which the workload had pods', () => {
  const meshed = (changes: object) =>
    period([path()], { history: { meshed: { yes: 0, no: 0, partly: 0, unknown: 0, ...changes } } })
  table('workload-is-meshed', [
    ['always', 'pass', period()],
    ['one window without', 'fail', meshed({ yes: 11, no: 1 })],
    ['one window with some', 'fail', meshed({ yes: 11, partly: 1 })],
    ['one window not known', 'not-enough-evidence', meshed({ yes: 11, unknown: 1 })],
    ['one list not read', 'not-enough-evidence', period([path()], { facts: { listedWindows: 11 } })],
    ['in no list', 'not-enough-evidence', period([path()], { facts: { workloads: [] } })],
  ])
  const { facts: _, ...without } = period()
  assert.deepEqual(verdicts('workload-is-meshed', without), {
    'deployment/shop/web': 'not-enough-evidence',
    'deployment/shop/db': 'not-enough-evidence',
  })
  const detailOf = (changes: object) => check('workload-is-meshed', meshed(changes))[0]?.detail
  matchesText(detailOf({ yes: 11, no: 1 }))
  matchesText(detailOf({ yes: 11, partly: 1 }))
  // A workload without a pod that nothing was seen of is none; one that was scraped all the same is not known.
  const idle = { ...without, workloads: without.workloads.map((one) => ({ ...one, pods: 0 })) }
  assert.deepEqual(check('workload-is-meshed', { ...idle, coverage: [] }), [])
  assert.deepEqual(Object.values(verdicts('workload-is-meshed', idle)), ['not-enough-evidence', 'not-enough-evidence'])
})

test('ports-not-bypassed fails what goes around a proxy, also in one window only', () => {
  const bypasses = [{ kind: 'skip-outbound', port: '4222', detail: '' } as const]
  table('ports-not-bypassed', [
    ['nothing', 'pass', period()],
    ['a port', 'fail', period([path()], { history: { bypasses } })],
    ['not known', 'not-enough-evidence', period([path()], { facts: { listedWindows: 11 } })],
    [
      'no proxy',
      'not-applicable',
      period([path()], { history: { meshed: { yes: 0, no: 12, partly: 0, unknown: 0 } } }),
    ],
  ])
})

test('identity-is-expected compares what was on the wire with what the API server says, window by window', () => {
  const identity = {
    pathId: 'a1',
    windows: 12,
    clientId: 'web.shop',
    serverId: 'db.shop',
    source: 'web',
    destination: 'db',
    corroborated: 'yes' as const,
  }
  const seen = (...identities: (typeof identity | object)[]) =>
    period([path()], { facts: { identities: identities.map((one) => ({ ...identity, ...one })) } })
  table('identity-is-expected', [
    ['both as expected', 'pass', seen({})],
    ['another client', 'fail', seen({ windows: 11 }, { windows: 1, clientId: 'mail.shop' })],
    ['another server', 'fail', seen({ serverId: 'db.bank' })],
    ['the server did not tell', 'not-enough-evidence', seen({ windows: 11 }, { windows: 1, clientId: null })],
    ['the client did not tell', 'not-enough-evidence', seen({ serverId: null })],
    ['the ServiceAccount is not known', 'not-enough-evidence', seen({ destination: null })],
    ['nothing told', 'not-enough-evidence', seen()],
    ['a changed ServiceAccount', 'pass', seen({ windows: 6 }, { windows: 6, source: 'new', clientId: 'new.shop' })],
    ['not collected', 'not-enough-evidence', period([path()], missing(3))],
    ['in the clear', 'not-applicable', period([path([clear])])],
    ['nobody can tell', 'not-enough-evidence', period([path([{ state: 'unknown' }])])],
    [
      'in the clear, or nobody can tell',
      'not-enough-evidence',
      period([
        path([
          { to: 5, ...clear },
          { from: 6, state: 'unknown' },
        ]),
      ]),
    ],
    [
      'the server alone',
      'not-enough-evidence',
      period([path([{}], { source: workload('serviceaccount', 'shop', 'web') })]),
    ],
    [
      'another cluster',
      'not-enough-evidence',
      period([path([{}], { destination: { ...workload('service', 'shop', 'far'), cluster: 'east' } })]),
    ],
  ])
})

test('identity-is-dedicated fails a shared ServiceAccount and the default one', () => {
  table('identity-is-dedicated', [
    ['its own', 'pass', period()],
    ['shared', 'fail', period([path()], { history: { sharedWith: 'deployment/shop/other' } })],
    ['default', 'fail', period([path()], { history: { serviceAccounts: ['default', 'web'] } })],
    ['not known in one window', 'not-enough-evidence', period([path()], { history: { withoutServiceAccount: 1 } })],
    [
      'no proxy',
      'not-applicable',
      period([path()], { history: { meshed: { yes: 0, no: 12, partly: 0, unknown: 0 } } }),
    ],
  ])
})

/** Every window with this cryptography. */
function stating(changes: Partial<Crypto>, windows = hours(HOURS)): ClusterPeriod {
  const crypto = windows.map(({ start, end }) => ({ start, end, crypto: { ...CRYPTO, ...changes } }))
  return period([path()], { windows, facts: { crypto } })
}

test('crypto-is-current wants TLS 1.3 and known key exchange of every proxy in every window', () => {
  const [tls] = CRYPTO.tls
  assert.ok(tls)
  table('crypto-is-current', [
    ['as Linkerd does', 'pass', period()],
    ['an old suite', 'fail', stating({ tls: [tls, { ...tls, suites: 'TLS_RSA_WITH_AES_128_CBC_SHA' }] })],
    ['an old group', 'fail', stating({ tls: [{ ...tls, keyExchange: 'X25519,ffdhe1024' }] })],
    ['a proxy that does not say', 'not-enough-evidence', stating({ tls: [{ ...tls, proxies: 3 }] })],
    ['nothing said', 'not-enough-evidence', stating({ tls: [] })],
    ['an empty suite', 'not-enough-evidence', stating({ tls: [{ ...tls, suites: '' }] })],
    ['an empty group', 'not-enough-evidence', stating({ tls: [{ ...tls, keyExchange: '' }] })],
    ['no proxy', 'not-enough-evidence', stating({ tls: [], proxyVersions: [] })],
    ['a window not collected', 'not-enough-evidence', period([path()], missing(3))],
    ['no window', 'not-enough-evidence', period([path()], { facts: { crypto: [] } })],
  ])
  matchesText(check('crypto-is-current', period())[0]?.detail)
  const mixed = stating({ tls: [tls, { ...tls, keyExchange: 'X25519', fips: 'true' }] })
  matchesText(check('crypto-is-current', mixed)[0]?.detail)
})

test('certificates-rotate wants a renewal that was seen, and none too late', () => {
  const certificates = { earliestExpiry: '2026-11-21T00:00:00Z', latestExpiry: '2026-11-21T06:00:00Z', proxies: 4 }
  /** Renewed every hour, but in the sixth window one ends at this time. */
  const endingAt = (earliestExpiry: string): ClusterPeriod => {
    const { facts } = period()
    const crypto = (facts?.crypto ?? []).map((one, index) =>
      index === 5 ? { ...one, crypto: { ...one.crypto, certificates: { ...certificates, earliestExpiry } } } : one,
    )
    return period([path()], { facts: { crypto } })
  }
  const ofNobody = period([path()], {
    facts: {
      crypto: (period().facts?.crypto ?? []).map(({ crypto: { certificates: renewed, ...rest }, ...window }) => ({
        ...window,
        crypto: { ...rest, proxyVersions: [], certificates: renewed && { ...renewed, proxies: 0 } },
      })),
    },
  })
  table('certificates-rotate', [
    ['renewed every hour', 'pass', period()],
    ['never renewed in the period', 'not-enough-evidence', stating({ certificates })],
    ['ended', 'fail', stating({ certificates: { ...certificates, earliestExpiry: '2026-11-20T02:00:00Z' } })],
    [
      'ends within a window',
      'not-enough-evidence',
      stating({ certificates: { ...certificates, earliestExpiry: '2026-11-20T11:30:00Z' } }),
    ],
    ['a proxy that does not say', 'not-enough-evidence', stating({ certificates: { ...certificates, proxies: 3 } })],
    ['nothing said', 'not-enough-evidence', stating({ certificates: null })],
    ['renewed, but one ended within a window', 'not-enough-evidence', endingAt('2026-11-20T05:30:00Z')],
    ['renewed, but one ended with a window', 'not-enough-evidence', endingAt('2026-11-20T06:00:00Z')],
    ['renewed before the window was over', 'pass', endingAt('2026-11-20T06:00:01Z')],
    ['ended as a window began', 'fail', endingAt('2026-11-20T05:00:00Z')],
    ['no proxy says anything', 'not-enough-evidence', ofNobody],
    ['a window not collected', 'not-enough-evidence', period([path()], missing(3))],
  ])
})

test('trust-anchor-is-valid fails an anchor out of its time, and knows nothing without one', () => {
  const [anchor] = CRYPTO.trustAnchors
  assert.ok(anchor)
  const with_ = (changes: Partial<typeof anchor>) => stating({ trustAnchors: [anchor, { ...anchor, ...changes }] })
  table('trust-anchor-is-valid', [
    ['in its time', 'pass', period()],
    ['ended', 'fail', with_({ notAfter: '2026-11-20T06:00:00Z' })],
    ['not begun', 'fail', with_({ notBefore: '2026-11-20T06:00:00Z' })],
    ['ends with the period', 'fail', with_({ notAfter: HOURS.to })],
    ['begins with the period', 'pass', with_({ notBefore: HOURS.from })],
    ['none read', 'not-enough-evidence', stating({ trustAnchors: [] })],
    ['a window not collected', 'not-enough-evidence', period([path()], missing(3))],
  ])
})

test('sources-agree wants the word of both ends', () => {
  /** In the first half of the windows, and in the second. */
  const by = (first: 'yes' | 'no' | 'ambiguous', second = first) =>
    period([
      path([first, second].map((corroborated, half) => ({ from: 6 * half, to: 6 * half + 5, more: { corroborated } }))),
    ])
  table('sources-agree', [
    ['both', 'pass', by('yes')],
    ['one', 'not-enough-evidence', by('no')],
    ['a shared identity', 'not-enough-evidence', by('ambiguous')],
    ['one in some windows', 'not-enough-evidence', by('yes', 'no')],
    ['a shared identity in some windows', 'not-enough-evidence', by('yes', 'ambiguous')],
    ['nothing to join by', 'not-applicable', period([path([clear])])],
    ['no mesh identity', 'not-applicable', period([path([clear], { source: UNMESHED })], missing(3))],
    ['not collected', 'not-enough-evidence', period([path()], missing(3))],
    [
      'another cluster',
      'not-enough-evidence',
      period([path([{}], { destination: { ...workload('service', 'shop', 'far'), cluster: 'east' } })]),
    ],
  ])
})

test('sources-agree lists where linkerd viz edges showed a tick and ciphertrail does not, the other way round, and why', () => {
  const beside = (paths: readonly ReturnType<typeof path>[], ...differences: VizDifference[]) =>
    period(paths, { facts: { viz: { compared: 9, differences } } })
  const tick = (state: State, hour?: number) => vizDifference('a1', { reason: '', state, ...(hour && { hour }) })
  const alone = vizDifference(null, { reason: '', state: 'mtls' })
  const refused = (difference: VizDifference): VizDifference => ({
    ...difference,
    path: difference.path && { ...difference.path, outcome: 'refused' },
  })
  table('sources-agree', [
    ['a tick over traffic in the clear', 'fail', beside([path([clear])], tick('plaintext'))],
    ['a tick over what is not known', 'not-enough-evidence', beside([path([{ state: 'unknown' }])], tick('unknown'))],
    [
      'a tick over TLS without an identity',
      'not-applicable',
      beside([path([{ state: 'tls-anonymous' }])], tick('tls-anonymous')),
    ],
    ['a reason over mutual TLS', 'fail', beside([path()], vizDifference('a1', { reason: 'Not HTTP', state: 'mtls' }))],
    [
      'a tick over what was refused',
      'not-applicable',
      beside([path([{ ...clear, outcome: 'refused' }])], refused(tick('plaintext'))),
    ],
    [
      'a tick over what is not known, then one over traffic in the clear',
      'fail',
      beside([path([clear])], tick('unknown', 2), tick('plaintext', 3)),
    ],
    ['no difference', 'pass', beside([path()])],
    ['that of another path', 'pass', beside([path()], vizDifference('b2', { reason: '', state: 'plaintext' }))],
  ])
  const [first] = check('sources-agree', beside([path([clear])], tick('plaintext', 3), tick('plaintext', 2)))
  matchesText(first?.detail)
  const reasons = ['Not HTTP', 'Not HTTP', 'Not Found'].map((reason) => vizDifference('a1', { reason, state: 'mtls' }))
  assert.match(check('sources-agree', beside([path()], ...reasons))[0]?.detail ?? '', /showed "Not Found" at 2026/)
  assert.match(check('sources-agree', beside([path()], ...reasons.slice(0, 2)))[0]?.detail ?? '', /at 2 moments/)
  matchesText(
    check('sources-agree', beside([path()], vizDifference('a1', { reason: 'Not HTTP', state: 'mtls' })))[0]?.detail,
  )
  assert.deepEqual(verdicts('sources-agree', beside([], alone, { ...alone, dst: 'other' })), {
    'deployment/shop/web': 'fail',
  })
})

test('sources-agree fails a path, or a workload, to which a capture shows unencrypted bytes that no proxy reported', () => {
  const difference = (pathId: string | null): PacketDifference => ({
    at: '2026-11-20T02:03:04Z',
    client: { kind: 'deployment', namespace: 'shop', name: 'web' },
    server: { kind: 'deployment', namespace: 'shop', name: 'db' },
    port: 80,
    reason: 'text',
    pathId,
  })
  const beside = (...differences: PacketDifference[]) =>
    period([path()], { facts: { packets: { compared: 9, differences } } })
  const [first] = check('sources-agree', beside(difference('a1'), difference('a1')))
  matchesText([first?.verdict, first?.detail], ['fail', TEXT])
  assert.deepEqual(verdicts('sources-agree', beside(difference(null), difference('gone'))), {
    'deployment/shop/web deployment/shop/db:80': 'pass',
    'deployment/shop/db': 'fail',
  })
  assert.equal(verdicts('sources-agree', beside(difference('gone')))['deployment/shop/db'], 'fail')
  assert.deepEqual(verdicts('sources-agree', beside()), { 'deployment/shop/web deployment/shop/db:80': 'pass' })
  // Whatever viz showed of it.
  const viz = { compared: 9, differences: [vizDifference('a1', { reason: '', state: 'unknown' })] }
  const facts = { packets: { compared: 9, differences: [difference('a1')] }, viz }
  assert.equal(verdict('sources-agree', period([path()], { facts })), 'fail')
})

test('sources-agree is never better for what linkerd viz edges shows', () => {
  const order: readonly Verdict[] = VERDICTS
  fc.assert(
    fc.property(anyPeriod(), (cluster) => {
      const { viz: _, ...facts } = cluster.facts ?? assert.fail()
      const without = verdicts('sources-agree', { ...cluster, facts })
      const beside = verdicts('sources-agree', cluster)
      for (const [name, verdict] of Object.entries(without))
        assert.ok(order.indexOf(beside[name] ?? 'not-applicable') <= order.indexOf(verdict), name)
    }),
  )
})

test('labels-not-spoofed fails labels that take a name, and doubts both ends of a doubted path', () => {
  const doubted = path([{ to: 5 }, { from: 6, state: 'unknown', reason: 'labels-overridden' }])
  table('labels-not-spoofed', [
    ['none', 'pass', period()],
    ['a label', 'fail', period([path()], { history: { overriding: ['tls'] } })],
    ['a doubted path', 'not-enough-evidence', period([doubted])],
    ['lists not read', 'not-enough-evidence', period([path()], { facts: { listedWindows: 11 } })],
  ])
  assert.deepEqual(Object.values(verdicts('labels-not-spoofed', period([doubted]))), [
    'not-enough-evidence',
    'not-enough-evidence',
  ])
})

test('evidence-is-complete says one thing of a cluster, by the share of its pod time that was seen, and never fails', () => {
  const web = workload('deployment', 'shop', 'web')
  const db = workload('deployment', 'shop', 'db')
  /** Both workloads, of which one was not scraped for so many seconds of one window. */
  const unscraped = (seconds: number) => {
    const gapsOf = (index: number, { start }: { start: string }) => {
      const to = new Date(Date.parse(start) + seconds * 1000).toISOString()
      return index === 3 ? [{ reason: 'scrape-failed' as const, pods: 2, from: start, to }] : []
    }
    return period([path()], {
      coverage: [...coverageOf('prod', hours(HOURS), web, { gapsOf }), ...coverageOf('prod', hours(HOURS), db)],
    })
  }
  const idle = coverageOf('prod', hours(HOURS), web).map((row) => ({ ...row, expectedSeconds: 0, observedSeconds: 0 }))
  table('evidence-is-complete', [
    ['all', 'pass', period()],
    ['a window', 'not-enough-evidence', period([path()], missing(3))],
    ['an attempt that failed', 'not-enough-evidence', period([path()], { windows: hours({ ...HOURS, failed: [3] }) })],
    [
      'something that could not be read',
      'pass',
      period([path()], { errors: [{ window: hours(HOURS)[0]?.end ?? '', line: 'Cannot read' }] }),
    ],
    ['less than a hundredth not scraped', 'pass', unscraped(800)],
    ['more than a hundredth not scraped', 'not-enough-evidence', unscraped(900)],
    ['no window expected', 'not-enough-evidence', period([], { windows: [] })],
    ['nothing that should have been seen', 'not-enough-evidence', period([path()], { coverage: idle })],
  ])
  const [lost] = check('evidence-is-complete', period([path()], missing(3)))
  assert.deepEqual(
    [lost?.seen?.share, lost?.seen?.windows, lost?.seen?.uncollected, lost?.seen?.unseenSeconds],
    [11 / 12, 12, 1, 3600],
  )
  // What sums of fractions lose is not missing: the share is not below what it was wanted to be.
  const exactly = coverageOf('prod', hours(HOURS), web).map((row) => ({
    ...row,
    expectedSeconds: 1,
    observedSeconds: 0.99 - 1e-12,
  }))
  assert.doesNotMatch(
    check('evidence-is-complete', period([path()], { coverage: exactly }))[0]?.detail ?? '',
    /less than the wanted share/,
  )
  const [partly] = check('evidence-is-complete', unscraped(3600))
  assert.equal(partly?.seen?.share, 23 / 24)
  matchesText(partly?.detail)
})

test('every rule says one thing of each subject, the same whatever the order of what it is given', () => {
  fc.assert(
    fc.property(anyPeriod(), (cluster) => {
      const turned: ClusterPeriod = {
        ...cluster,
        rows: cluster.rows.toReversed(),
        coverage: cluster.coverage.toReversed(),
        workloads: cluster.workloads.toReversed(),
      }
      for (const { check: run, id } of RULES) {
        const findings = run(rulePeriod(cluster, HOURS, WANTED_SHARE))
        const keys = findings.map(({ subject }) => subjectKey(subject))
        assert.equal(new Set(keys).size, keys.length, id)
        const bySubject = (all: typeof findings) =>
          all.map((one) => JSON.stringify([subjectKey(one.subject), one.verdict, one.detail])).toSorted()
        assert.deepEqual(bySubject(run(rulePeriod(turned, HOURS, WANTED_SHARE))), bySubject(findings), id)
      }
    }),
  )
})

test('no rule passes anything in a cluster of which nothing was collected', () => {
  fc.assert(
    fc.property(anyPeriod(), (cluster) => {
      const lost: ClusterPeriod = {
        ...cluster,
        windows: cluster.windows.map((window) => ({ ...window, collected: false, evidence: null, ratio: null })),
        coverage: [],
        facts: { listedWindows: 0, workloads: [], identities: [], crypto: [] },
        rows: cluster.rows.map((row) => ({ ...row, state: 'not-collected', outcome: 'allowed', reason: '' })),
        strips: Object.fromEntries(
          Object.entries(cluster.strips).map(([id, strip]) => [id, strip.map((one) => one && 'not-collected')]),
        ),
      }
      for (const { id } of RULES)
        for (const { verdict: said, detail } of check(id, lost)) assert.notEqual(said, 'pass', `${id}: ${detail}`)
    }),
  )
})

test('a rule that cannot read the facts of a period passes nothing that needs them', () => {
  const { facts: _, ...without } = period()
  const passed = RULES.filter(({ id }) => verdict(id, without) === 'pass').map(({ id }) => id)
  assert.deepEqual(passed, ['evidence-is-complete'])
})
