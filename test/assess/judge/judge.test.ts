import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { judge } from '../../../lib/assess/judge/judge.ts'
import { RULES } from '../../../lib/assess/judge/rules.ts'
import { scoreOf, worstVerdict } from '../../../lib/assess/judge/score.ts'
import { isInScope, labelsIn } from '../../../lib/assess/judge/in-scope.ts'
import { endName } from '../../../lib/assess/judge/waived.ts'
import type { ClusterPeriod } from '../../../lib/model/period.ts'
import type { Finding, Judgement, ReportSettings, Scope, Score, Subject, Waiver } from '../../../lib/model/judgement.ts'
import { DEFAULT_SETTINGS } from '../../../lib/assess/judge/stored-scope.ts'
import { HOURS, UNMESHED, anyPeriod, factsOf, path, period } from '../../support/stored/judged-period.ts'
import { cluster, hours, storyOfAWeek, workload } from '../../support/stored/report-input.ts'
import { matchesGolden } from '../../support/golden.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const AT = HOURS.to

const whole = (
  clusters: readonly ClusterPeriod[],
  more: { scopes?: readonly Scope[]; waivers?: readonly Waiver[]; settings?: ReportSettings } = {},
) => judge({ clusters, scopes: [], waivers: [], settings: DEFAULT_SETTINGS, period: HOURS, at: AT, ...more })

const scope = (changes: Partial<Scope> = {}): Scope => ({
  framework: 'soc-2',
  clusters: [],
  namespaces: [],
  labels: {},
  owner: 'shop',
  reason: 'the shop',
  ...changes,
})

const waiver = (changes: Partial<Waiver> = {}): Waiver => ({
  id: 'w1',
  owner: 'shop',
  reason: 'old',
  compensatingControl: 'a firewall',
  expires: '2027-01-01T00:00:00Z',
  ...changes,
})

function subjectName(subject: Subject): string {
  switch (subject.kind) {
    case 'path':
      return `${endName(subject.source)} -> ${endName(subject.destination)}:${subject.port}`
    case 'port':
      return `${endName(subject.workload)}:${subject.port}`
    case 'workload':
      return endName(subject.workload)
    case 'cluster':
      return 'cluster'
  }
}

function scoreText({ pass, fail, waived, notEnoughEvidence, incompleteClusters, share }: Score): string {
  const incomplete = incompleteClusters === 0 ? '' : `, ${incompleteClusters} cluster incomplete`
  return `${pass} pass, ${fail} fail, ${waived} waived, ${notEnoughEvidence} not enough evidence${incomplete}: ${share === null ? 'no share' : share.toFixed(3)}`
}

/** A judgement as lines that can be read. */
function told({ findings, rules, frameworks, waivers, score, controls }: Judgement): string {
  return [
    `all: ${scoreText(score)}`,
    `controls: version ${controls.version}`,
    ...rules.flatMap((rule) => [
      '',
      `${rule.id}: ${rule.verdict} (${scoreText(rule.score)})`,
      ...findings
        .filter((one) => one.rule === rule.id)
        .map(({ verdict, subject, detail, waiver: id }) => {
          const accepted = id === null ? '' : ` [waived by ${id}]`
          return `  ${verdict}${accepted}  ${subject.cluster}  ${subjectName(subject)}: ${detail}`
        }),
    ]),
    ...frameworks.flatMap((framework) => [
      '',
      `${framework.title} ${framework.version}: ${scoreText(framework.score)}`,
      ...framework.outOfScope.map(
        ({ cluster: id, namespace, workloads, paths }) =>
          `  out of scope: ${id} ${namespace}: ${workloads} workloads, ${paths} paths`,
      ),
      ...framework.controls.map((one) => `  ${one.id} (${one.relation}): ${one.verdict}, ${scoreText(one.score)}`),
    ]),
    '',
    ...waivers.map(
      ({ waiver: { id }, status, isTooBroad, findings: count }) =>
        `waiver ${id}: ${status}${isTooBroad ? ', too broad' : ''}, ${count} failures`,
    ),
    '',
  ].join('\n')
}

/** Every score of a judgement. */
function scoresOf({ score, rules, frameworks }: Judgement): Score[] {
  const ofFrameworks = frameworks.flatMap(({ score: own, controls }) => [own, ...controls.map((one) => one.score)])
  return [score, ...rules.map((rule) => rule.score), ...ofFrameworks]
}

const anyScope: fc.Arbitrary<Scope> = fc
  .record({
    framework: fc.constantFrom('soc-2', 'hipaa'),
    clusters: fc.constantFrom([], ['prod'], ['*'], ['other']),
    namespaces: fc.constantFrom([], ['shop'], ['ba*']),
    labels: fc.constantFrom<Record<string, string>>({}, { app: 'web' }, { app: 'none' }),
  })
  .map((changes) => scope(changes))

const anyWaiver: fc.Arbitrary<Waiver> = fc
  .record({
    rules: fc.constantFrom(undefined, ['path-is-encrypted'], ['evidence-is-complete', 'workload-is-meshed']),
    source: fc.constantFrom(undefined, '(unmeshed)', 'deployment/shop/*'),
    destination: fc.constantFrom(undefined, '*/shop/db', 'statefulset/*/*'),
    port: fc.constantFrom(undefined, 80),
    expires: fc.constantFrom('2026-11-20T11:59:59Z', AT, '2026-11-20T12:00:01Z', '2027-01-01T00:00:00Z'),
  })
  .map(({ rules, source, destination, port, expires }) => ({
    ...waiver({ expires }),
    ...(rules === undefined ? {} : { rules }),
    ...(source === undefined ? {} : { source }),
    ...(destination === undefined ? {} : { destination }),
    ...(port === undefined ? {} : { port }),
  }))

const anyInput = fc.record({
  clusters: fc.oneof(
    anyPeriod().map((one) => [one]),
    fc.tuple(anyPeriod(), anyPeriod('other')),
  ),
  scopes: fc.array(anyScope, { maxLength: 3 }),
  waivers: fc.array(anyWaiver, { maxLength: 3 }).map((all) => all.map((one, index) => ({ ...one, id: `w${index}` }))),
  at: fc.constant(AT),
  settings: fc.constant(DEFAULT_SETTINGS),
  period: fc.constant(HOURS),
})

test('scoreOf() counts what was judged, and gives no share where nothing was or a cluster was not seen', () => {
  const subject = { kind: 'cluster', cluster: 'prod' } as const
  const of = (...verdicts: (Finding['verdict'] | 'waived')[]) =>
    verdicts.map((verdict) =>
      verdict === 'waived' ? { subject, verdict: 'fail' as const, waiver: 'w' } : { subject, verdict, waiver: null },
    )
  const counted = { pass: 1, fail: 1, waived: 1, notEnoughEvidence: 1, incompleteClusters: 0, share: 0.25 }
  assert.deepEqual(scoreOf(of('pass', 'fail', 'waived', 'not-enough-evidence', 'not-applicable'), false), counted)
  assert.deepEqual(scoreOf(of('pass', 'pass'), true), {
    pass: 2,
    fail: 0,
    waived: 0,
    notEnoughEvidence: 0,
    incompleteClusters: 0,
    share: null,
  })
  const whole = { subject, verdict: 'not-enough-evidence', waiver: null, isWhole: true } as const
  assert.deepEqual(
    scoreOf([...of('pass', 'fail'), whole, whole], false),
    { pass: 1, fail: 1, waived: 0, notEnoughEvidence: 0, incompleteClusters: 1, share: null },
    'a cluster that was not monitored all the time is no subject, and leaves the share unknown',
  )
  assert.equal(scoreOf(of('not-applicable'), false).share, null)
  assert.equal(scoreOf([], false).share, null)
})

test('worstVerdict() takes a failure for one whoever waived it, and a lack of evidence for worse than a pass', () => {
  const of = (...verdicts: Finding['verdict'][]) => worstVerdict(verdicts.map((verdict) => ({ verdict })))
  assert.equal(of('pass', 'not-enough-evidence', 'fail'), 'fail')
  assert.equal(of('not-applicable', 'pass', 'not-enough-evidence'), 'not-enough-evidence')
  assert.equal(of('not-applicable', 'pass'), 'pass')
  assert.equal(of(), 'not-applicable')
})

test('judge() never raises a score for another failing edge', () => {
  fc.assert(
    fc.property(anyInput, fc.constantFrom('web', 'api', null), fc.nat(11), (input, from, at) => {
      const [first, ...rest] = input.clusters
      assert.ok(first)
      const clear = path([{ from: at, to: at, state: 'plaintext', more: { enforcement: 'plaintext-refused' } }], {
        pathId: 'zz',
        source: from === null ? UNMESHED : workload('deployment', 'shop', from),
        destination: workload('statefulset', 'shop', 'db'),
      })
      const windows = first.windows.map((window, index) => ({ ...window, collected: window.collected || index === at }))
      const seen = { ...first, windows }
      const { rows, strips } = cluster(first.id, windows, [clear])
      const added = { ...seen, rows: [...first.rows, ...rows], strips: { ...first.strips, ...strips } }
      const before = scoresOf(judge({ ...input, clusters: [seen, ...rest] }))
      const after = scoresOf(judge({ ...input, clusters: [added, ...rest] }))
      for (const [index, score] of after.entries()) {
        const was = before[index]
        assert.ok(was)
        assert.ok(score.pass <= was.pass)
        if (was.share !== null) assert.ok(score.share !== null && score.share <= was.share)
        else assert.ok(score.share === null || score.share === 0)
      }
    }),
    { numRuns: 600 },
  )
})

test('judge() does not let what was found out of scope stand for what was not seen in it', () => {
  const windows = hours({ ...HOURS, missing: [3] })
  const clear = path([{ state: 'plaintext' }])
  const shareOf = (paths: Parameters<typeof period>[0]) =>
    whole([period(paths, { windows })], { scopes: [scope({ namespaces: ['bank'] })] }).frameworks.find(
      ({ id }) => id === 'soc-2',
    )?.score
  assert.deepEqual(shareOf([clear]), shareOf([]))
  assert.equal(shareOf([])?.incompleteClusters, 1)
})

test('judge() never counts what lacks evidence as pass, and a share holds it and every failure in its denominator', () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const judged = judge(input)
      const { score, findings } = judged
      const count = (verdict: Finding['verdict']) =>
        findings.filter((one) => one.verdict === verdict && one.isWhole === undefined).length
      assert.deepEqual(
        [score.pass, score.fail + score.waived, score.notEnoughEvidence],
        [count('pass'), count('fail'), count('not-enough-evidence')],
      )
      for (const one of scoresOf(judged)) {
        const all = one.pass + one.fail + one.waived + one.notEnoughEvidence
        if (one.share !== null) assert.equal(one.share, one.pass / all)
        if (one.notEnoughEvidence + one.fail + one.waived > 0) assert.notEqual(one.share, 1)
      }
    }),
  )
})

test('judge() gives a control the worst verdict of its rules: fail, not enough evidence, pass, and nothing to judge only if all say so', () => {
  const seen = new Map<Finding['verdict'], number>()
  fc.assert(
    fc.property(anyInput, (input) => {
      const { frameworks, rules } = judge({ ...input, scopes: [] })
      const verdictOf = new Map(rules.map(({ id, verdict }) => [id, verdict]))
      for (const { id, verdict, rules: own } of frameworks.flatMap(({ controls }) => controls)) {
        const verdicts = own.map((rule) => verdictOf.get(rule))
        const worst = (['fail', 'not-enough-evidence', 'pass'] as const).find((one) => verdicts.includes(one))
        assert.equal(verdict, worst ?? 'not-applicable', id)
        seen.set(verdict, (seen.get(verdict) ?? 0) + 1)
      }
    }),
  )
  assert.deepEqual([...seen.keys()].toSorted(), ['fail', 'not-applicable', 'not-enough-evidence', 'pass'])
})

test('judge() lets nothing count that is out of scope', () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const judged = judge(input)
      const labelsOf = labelsIn(input.clusters)
      for (const framework of judged.frameworks) {
        const scopes = input.scopes.filter((one) => one.framework === framework.id)
        const own = judged.findings.filter(
          ({ rule, subject }) =>
            framework.controls.some(({ rules }) => rules.includes(rule)) && isInScope(subject, scopes, labelsOf),
        )
        const { share: _, ...counts } = framework.score
        const { share: __, ...expected } = scoreOf(own, false)
        assert.deepEqual(counts, expected)
      }
      // Whatever happens elsewhere changes nothing here.
      const elsewhere = period([path([{ state: 'plaintext' }])], { id: 'zz' })
      const scopes = [...input.scopes, scope({ framework: 'dora', clusters: ['prod', 'other'] })]
      const pick = (one: Judgement) => one.frameworks.find(({ id }) => id === 'dora')
      const before = pick(judge({ ...input, scopes }))
      const after = pick(judge({ ...input, scopes, clusters: [...input.clusters, elsewhere] }))
      assert.deepEqual(after?.controls, before?.controls)
      assert.deepEqual(after?.score, before?.score)
      assert.equal(after?.outOfScope.find((one) => one.cluster === 'zz' && one.namespace === 'shop')?.paths, 1)
    }),
  )
})

test('judge() shows a waived failure as one, and lets an expired waiver waive nothing', () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const [plain, waived] = [judge({ ...input, waivers: [] }), judge(input)]
      const told = ({ findings }: Judgement) => findings.map(({ waiver: _, ...finding }) => finding)
      assert.deepEqual(told(waived), told(plain), 'no waiver changes a verdict')
      assert.deepEqual(
        scoresOf(waived).map(({ share }) => share),
        scoresOf(plain).map(({ share }) => share),
        'no waiver raises a share',
      )
      const expired = new Set(input.waivers.filter(({ expires }) => expires <= AT).map(({ id }) => id))
      for (const { waiver: id, verdict } of waived.findings) {
        assert.ok(id === null || (verdict === 'fail' && !expired.has(id)))
      }
      for (const { waiver: one, status } of waived.waivers) assert.equal(status === 'expired', expired.has(one.id))
      const total = ({ fail, waived: accepted }: Score) => fail + accepted
      assert.deepEqual(scoresOf(waived).map(total), scoresOf(plain).map(total))
    }),
  )
})

test('judge() gives the same whatever the order of its input', () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const turned = {
        ...input,
        clusters: input.clusters.toReversed().map((one) => ({ ...one, rows: one.rows.toReversed() })),
        scopes: input.scopes.toReversed(),
        waivers: input.waivers.toReversed(),
      }
      assert.deepEqual(judge(turned), judge(input))
    }),
  )
})

test('judge() gives no share of a cluster that was not seen, however well the others did', () => {
  const lost = period([], {
    id: 'lost',
    windows: hours({ ...HOURS, missing: Array.from({ length: 12 }, (_, i) => i) }),
  })
  const judged = whole([period(), lost])
  assert.ok(scoresOf(judged).every(({ share }) => share === null))
  assert.equal(judged.rules.find(({ id }) => id === 'path-is-encrypted')?.verdict, 'not-enough-evidence')
  const scoped = whole([period(), lost], { scopes: [scope({ clusters: ['prod'] })] })
  const [soc2, hipaa] = ['soc-2', 'hipaa'].map((id) => scoped.frameworks.find((one) => one.id === id))
  assert.notEqual(soc2?.score.share, null, 'the cluster is out of this scope')
  assert.equal(hipaa?.score.share, null)
  assert.deepEqual(soc2?.outOfScope, [{ cluster: 'lost', namespace: '', workloads: 0, paths: 0 }])
})

test('judge() lacks evidence of workloads where no Kubernetes list was read, and never that there was nothing to judge', () => {
  const none = period([])
  const judged = whole([{ ...none, facts: { ...factsOf(none), listedWindows: 0 } }])
  const verdicts = ['workload-is-meshed', 'ports-not-bypassed', 'identity-is-dedicated', 'labels-not-spoofed'].map(
    (id) => judged.rules.find((rule) => rule.id === id)?.verdict,
  )
  assert.deepEqual(verdicts, [
    'not-enough-evidence',
    'not-enough-evidence',
    'not-enough-evidence',
    'not-enough-evidence',
  ])
})

test('judge() lacks evidence of what was there only in windows that are missing, whatever else a rule found', () => {
  for (const [windows, verdict] of [
    [hours(HOURS), 'not-applicable'],
    [hours({ ...HOURS, missing: [3] }), 'not-enough-evidence'],
    // Registered an hour before the end: nobody looked before.
    [hours(HOURS).slice(11), 'not-enough-evidence'],
    [[], 'not-enough-evidence'],
  ] as const) {
    const judged = whole([period([], { windows: [...windows] })])
    for (const id of ['path-is-encrypted', 'inbound-plaintext-absent', 'workload-is-meshed', 'sources-agree'])
      assert.equal(judged.rules.find((rule) => rule.id === id)?.verdict, verdict, `${id} of ${windows.length} windows`)
  }
  const later = whole([period([path([{ from: 4 }])], { windows: hours({ ...HOURS, missing: [3] }) })])
  assert.deepEqual(
    later.findings
      .filter(({ rule }) => rule === 'path-is-encrypted')
      .map(({ subject, verdict }) => [subject.kind, verdict]),
    [
      ['cluster', 'not-enough-evidence'],
      ['path', 'not-enough-evidence'],
    ],
  )
  const { verdict, score } = later.rules.find(({ id }) => id === 'path-is-encrypted') ?? {}
  assert.equal(verdict, 'not-enough-evidence')
  assert.deepEqual([score?.notEnoughEvidence, score?.incompleteClusters], [1, 1], 'one path, and not two')
  const none = whole([])
  assert.deepEqual([none.score.share, none.findings], [null, []])
})

test('judge() judges a path where either end is in scope, and a workload whose labels are not known', () => {
  const bank = workload('statefulset', 'bank', 'ledger')
  const made = period([path([{ state: 'plaintext' }], { destination: bank }), path([], { pathId: 'c3' })])
  const judgedBy = (changes: Partial<Scope>, clusters = [made]) => {
    const one = whole(clusters, { scopes: [scope(changes)] }).frameworks.find(({ id }) => id === 'soc-2')
    return one?.controls.find(({ id }) => id === 'CC6.7')?.score.fail
  }
  assert.ok((judgedBy({ namespaces: ['shop'] }) ?? 0) > 0, 'its source')
  assert.ok((judgedBy({ namespaces: ['bank'] }) ?? 0) > 0, 'its destination')
  assert.equal(judgedBy({ namespaces: ['mail'] }), 0)
  assert.ok((judgedBy({ labels: { app: 'ledger' } }) ?? 0) > 0)
  assert.equal(judgedBy({ labels: { app: 'mail' } }), 0)
  const unnamed = period([path([{ state: 'plaintext' }], { source: UNMESHED })])
  assert.equal(judgedBy({ labels: { app: 'mail' } }, [unnamed]), 0, 'who has no name is no workload without labels')
  assert.ok((judgedBy({ labels: { app: 'db' } }, [unnamed]) ?? 0) > 0)
  const { facts: _, ...unlabelled } = made
  assert.ok((judgedBy({ labels: { app: 'mail' } }, [unlabelled]) ?? 0) > 0, 'labels are not known')
  const relabelled = factsOf(made, { labels: [{ app: 'mail' }, { app: 'ledger' }] })
  assert.ok((judgedBy({ labels: { app: 'mail' } }, [{ ...made, facts: relabelled }]) ?? 0) > 0, 'it had them once')
  const hostile = scope({ labels: { constructor: 'x' } })
  assert.equal(whole([made], { scopes: [hostile] }).frameworks.find(({ id }) => id === 'soc-2')?.outOfScope.length, 2)
})

test('judge() names the rule, the subject and the reason of each finding, by rule and subject', () => {
  const { findings, rules } = whole([
    period([path(), path([{ state: 'plaintext' }], { pathId: 'b2', source: UNMESHED })]),
  ])
  assert.deepEqual(
    [...new Set(findings.map(({ rule }) => rule))],
    RULES.map(({ id }) => id),
  )
  assert.deepEqual(
    rules.map(({ id }) => id),
    RULES.map(({ id }) => id),
  )
  matchesText(
    findings.filter(({ rule }) => rule === 'path-is-encrypted').map(({ verdict, detail }) => [verdict, detail]),
    [TEXT, TEXT],
  )
})

test('judge() lists paths of the mesh and the platform, and counts those that are to be judged', () => {
  const linkerd = { destination: workload('deployment', 'linkerd', 'destination') }
  const made = period([path(), path([{ state: 'plaintext' }], { pathId: 'b2', ...linkerd })])
  const judgedBy = (judgedClasses: typeof DEFAULT_SETTINGS.judgedClasses) =>
    whole([made], { settings: { ...DEFAULT_SETTINGS, judgedClasses } })
  const of = ({ findings, rules }: Judgement) => ({
    listed: findings.filter(({ rule }) => rule === 'path-is-encrypted').map((one) => [one.class, one.verdict]),
    rule: rules.find(({ id }) => id === 'path-is-encrypted')?.verdict,
  })
  const listed = [
    ['mesh', 'fail'],
    ['application', 'pass'],
  ]
  assert.deepEqual(of(judgedBy(['application'])), { listed, rule: 'pass' })
  assert.deepEqual(of(judgedBy(['application', 'mesh'])), { listed, rule: 'fail' })
})

test('judge() lacks evidence where a rule throws, keeps its error, and tells what every other rule found', () => {
  const [sound, broken] = [period(), period([path()], { facts: { crypto: [{ start: '', end: '' } as never] } })]
  const was = whole([sound])
  const judged = whole([broken])
  const own = judged.findings.filter(({ rule }) => rule === 'crypto-is-current')
  assert.deepEqual(
    own.map(({ verdict, subject }) => [verdict, subject.kind]),
    [['not-enough-evidence', 'cluster']],
  )
  assert.ok(
    judged.errors.some((line) => /^Cannot apply the rule "crypto-is-current" to cluster "prod": .+$/.test(line)),
  )
  assert.deepEqual(was.errors, [])
  const others = ({ findings }: Judgement) => findings.filter(({ rule }) => rule.startsWith('path-'))
  assert.deepEqual(others(judged), others(was))
})

test('judge() of the week of two clusters is as it was', () => {
  const { clusters, period: week } = storyOfAWeek()
  const judged = judge({
    clusters: clusters.map((one) => ({ ...one, facts: factsOf(one) })),
    scopes: [
      scope({ framework: 'pci-dss', clusters: ['west'], namespaces: ['bank'], owner: 'payments', reason: 'card data' }),
    ],
    waivers: [
      waiver({
        id: 'tax-api',
        rules: ['path-is-encrypted', 'path-is-mutual'],
        destination: 'external/tax-api.example.com',
        expires: '2026-11-30T00:00:00Z',
      }),
      waiver({
        id: 'ledger-export',
        source: '(unmeshed)',
        destination: '*/bank/ledger-db',
        expires: '2026-11-22T00:00:00Z',
      }),
      waiver({ id: 'everything', expires: '2030-01-01T00:00:00Z', rules: ['sources-agree'] }),
    ],
    settings: DEFAULT_SETTINGS,
    period: week,
    at: week.to,
  })
  matchesGolden('judge/week.txt', told(judged))
})
