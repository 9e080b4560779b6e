import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fixOf } from '../../../lib/assess/fixes/fix-text.ts'
import type { PathRow } from '../../../lib/model/history.ts'
import { CAUSES, STATES, type Setting } from '../../../lib/model/path.ts'
import { matchesText, TEXT, textWith } from '../../support/texts/matches-text.ts'

type Row = Parameters<typeof fixOf>[0]

const end = { kind: 'deployment', namespace: 'shop', name: 'api', serviceAccount: null, cluster: null }
const client = { kind: 'deployment', namespace: 'front', name: 'web', serviceAccount: null }
const UNMESHED = { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null }
const row = { state: 'plaintext', outcome: 'allowed', source: client, destination: end, port: 8080 } as const

const SKIP_INBOUND = 'config.linkerd.io/skip-inbound-ports'
const SKIP_OUTBOUND = 'config.linkerd.io/skip-outbound-ports'
const setting = (name: string, value: string | null, more: Partial<Setting> = {}): Setting => ({
  workload: { kind: 'deployment', namespace: 'shop', name: 'api' },
  name,
  value,
  by: 'workload',
  ...more,
})

function linesOf(more: Partial<Row> & Pick<Row, 'cause'>): string[] {
  return (fixOf({ ...row, ...more }) ?? '').split('\n')
}

const patch = (resource: string, namespace: string, annotations: object) =>
  `kubectl patch ${resource} -n ${namespace} --type merge -p '${JSON.stringify({ spec: { template: { metadata: { annotations } } } })}'`

/** Everything that an end of a path can be. */
const ENDS: readonly PathRow['destination'][] = [
  ...['deployment', 'statefulset', 'daemonset', 'cronjob', 'job', 'pod', 'replicaset', 'rollout', 'service'].map(
    (kind) => ({ ...end, kind }),
  ),
  { ...end, kind: 'serviceaccount' },
  { ...end, kind: 'externalworkload' },
  { ...end, kind: 'external', namespace: '', name: '203.0.113.7' },
  { ...end, kind: 'pod', namespace: '', name: '10.1.0.7' },
  { ...end, kind: 'service', namespace: 'default', name: 'kubernetes' },
  { ...end, kind: 'service', cluster: 'west' },
  { ...end, namespace: 'kube-system', name: 'coredns' },
  { ...end, namespace: 'linkerd-viz', name: 'prometheus' },
]
const SOURCES = [...ENDS, UNMESHED, { ...UNMESHED, kind: 'probe' }]

describe('fixOf()', () => {
  test('has one text for each cause, and none where nothing is to be fixed', () => {
    const texts = CAUSES.map((cause) => fixOf({ ...row, cause }))
    assert.equal(new Set(texts).size, CAUSES.length)
    for (const text of texts) assert.match(text ?? '', /^[A-Z].{40,}[^.](\n|$)/)
    assert.equal(fixOf({ ...row, cause: null }), null)
    assert.equal(fixOf({ ...row, cause: 'unknown', outcome: 'refused' }), null)
    for (const state of STATES) {
      const isOpen = ['plaintext', 'no-mesh-tls', 'unknown', 'app-tls'].includes(state)
      assert.equal(fixOf({ ...row, cause: 'source-not-meshed', state }) !== null, isOpen, state)
    }
  })

  test('is a sentence with the real names and lines for a shell, whatever the state, the cause and the ends', () => {
    for (const cause of CAUSES)
      for (const state of ['plaintext', 'no-mesh-tls', 'app-tls', 'unknown'] as const)
        for (const destination of ENDS)
          for (const source of SOURCES) {
            const text = fixOf({ ...row, cause, state, source, destination }) ?? ''
            assert.doesNotMatch(text, /undefined|\[object|KIND|NAME\b|NAMESPACE|the other end/, text)
            const [sentence = '', ...commands] = text.split('\n')
            assert.ok(sentence.includes(destination.name) || sentence.includes(source.name), text)
            for (const line of commands) assert.match(line, /^(#|kubectl|linkerd|ciphertrail) /)
            // An explanation is on a line of its own, above what it explains.
            for (const line of commands) assert.doesNotMatch(line, /^# .*: (kubectl|linkerd|ciphertrail) /)
            for (const [index, line] of commands.entries())
              if (line.endsWith(':')) assert.ok(commands[index + 1] !== undefined, text)
          }
  })

  test('never tells anybody to mesh what cannot be meshed', () => {
    const never = ENDS.filter(
      ({ kind, namespace }) =>
        ['service', 'external', 'externalworkload', 'serviceaccount'].includes(kind) ||
        namespace === 'kube-system' ||
        namespace === '',
    )
    assert.equal(never.length, 8)
    for (const cause of CAUSES)
      for (const destination of never)
        for (const candidates of [[], never]) {
          const text = fixOf({ ...row, cause, source: UNMESHED, destination, candidates }) ?? ''
          assert.doesNotMatch(text, /inject":"enabled|linkerd inject|linkerd\.io\/inject: "enabled/, text)
          assert.doesNotMatch(text, /^Add (service|external|deployment\/coredns)/)
        }
    for (const candidate of [
      { ...UNMESHED, kind: 'probe' },
      { ...UNMESHED, kind: 'external', name: '10.1.0.1' },
    ])
      assert.equal(linesOf({ cause: 'source-not-meshed', source: UNMESHED, candidates: [candidate] }).length, 3)
  })

  test('leaves what is Linkerd’s own as it was installed', () => {
    const destination = { ...end, namespace: 'linkerd-viz', name: 'tap' }
    const { kind, namespace, name } = destination
    const own = setting('linkerd.io/extension', 'viz', { workload: { kind, namespace, name }, by: 'namespace' })
    for (const cause of CAUSES) {
      const text = fixOf({ ...row, cause, source: UNMESHED, destination, settings: [own] }) ?? ''
      assert.match(
        text,
        cause === 'linkerd-webhook' ? /^Nothing to add to the mesh: / : /^Leave deployment\/tap in linkerd-viz /,
      )
      assert.doesNotMatch(text, /patch|annotate|restart|viz tap/)
    }
  })

  test('takes a port out of an annotation where it is set, and leaves the others', () => {
    const inbound = (value: string | null, more: Partial<Setting> = {}) =>
      linesOf({ cause: 'destination-skips-port', settings: [setting(SKIP_INBOUND, value, { port: 8080, ...more })] })
    const [sentence, ...commands] = inbound('25,8079-8081')
    matchesText(sentence)
    assert.deepEqual(commands, [patch('deployment/api', 'shop', { [SKIP_INBOUND]: '25,8079,8081' })])
    assert.deepEqual(inbound('8080').slice(1), [patch('deployment/api', 'shop', { [SKIP_INBOUND]: null })])
    assert.deepEqual(inbound('25,8080', { by: 'namespace' }).slice(1), [
      `kubectl annotate namespace shop ${SKIP_INBOUND}=25 --overwrite`,
      'kubectl rollout restart deployment/api -n shop',
    ])
    assert.equal(inbound('8080', { by: 'namespace' })[1], `kubectl annotate namespace shop ${SKIP_INBOUND}-`)
    matchesText(inbound(null, { by: 'control-plane' }).slice(1))
    matchesText(inbound('http,8080').slice(1), textWith({ SKIP_INBOUND }))
  })

  test('meshes a workload where its template is', () => {
    const inject = { 'linkerd.io/inject': 'enabled' }
    const mesh = (kind: string, value: string | null, by: Setting['by']) =>
      linesOf({
        cause: 'destination-not-meshed',
        destination: { ...end, kind },
        settings: [setting('linkerd.io/inject', value, { by })],
      })
    const [sentence, ...commands] = mesh('deployment', 'disabled', 'workload')
    matchesText(sentence)
    matchesText(commands, [TEXT, patch('deployment/api', 'shop', inject)])
    assert.match(
      mesh('deployment', 'disabled', 'namespace')[0] ?? '',
      /its namespace has linkerd\.io\/inject: disabled/,
    )
    matchesText(mesh('deployment', null, 'control-plane')[0])
    const template = { spec: { template: { metadata: { annotations: inject } } } }
    assert.deepEqual(mesh('cronjob', null, 'workload').slice(2), [
      `kubectl patch cronjob/api -n shop --type merge -p '${JSON.stringify({ spec: { jobTemplate: template } })}'`,
    ])
    assert.deepEqual(mesh('pod', null, 'workload').slice(2), [
      'kubectl get pod/api -n shop -o yaml | linkerd inject - | kubectl replace --force -f -',
    ])
    matchesText(mesh('job', null, 'workload').slice(2))
  })

  test('names the clients that may be it, and only lets what is sure be pasted', () => {
    const other = { kind: 'deployment', namespace: 'back', name: 'old' }
    const settings = [
      setting(SKIP_OUTBOUND, '80', { port: 80, workload: { ...other, name: 'orders' } }),
      setting('linkerd-proxy', null, { by: 'pod', workload: other }),
    ]
    const [sentence = '', , tap, ...rest] = linesOf({ cause: 'source-not-proxied', source: UNMESHED, settings })
    matchesText(sentence)
    matchesText(sentence)
    assert.equal(tap, 'linkerd viz tap deployment/api -n shop -o wide')
    assert.equal(rest.length, 6)
    for (const [index, line] of rest.entries())
      assert.match(line, index % 2 === 0 ? /^# (If|To) .*, run the next line without the #:$/ : /^# kubectl patch /)
    const seen = linesOf({
      cause: 'source-not-proxied',
      source: UNMESHED,
      settings,
      candidates: [{ ...other, serviceAccount: null }],
    })
    assert.match(seen[0] ?? '', /Tap saw deployment\/old in back/)
    assert.equal(seen[1], patch('deployment/old', 'back', { 'linkerd.io/inject': 'enabled' }))
  })

  test('looks for packets where nothing is HTTP', () => {
    const lines = linesOf({ cause: 'opaque-port-unmeshed-client', state: 'no-mesh-tls', source: UNMESHED })
    assert.equal(
      lines.at(-1),
      "kubectl exec deployment/api -n shop -c linkerd-debug -- tshark -n -i any -f 'tcp port 8080'",
    )
  })

  test('pastes no name into a shell that Kubernetes would not allow', () => {
    for (const name of ['a;rm -rf /', '$(id)', '`id`', 'a b', "a'b", 'a\nb', '', '-x', 'a'.repeat(254)])
      for (const hostile of [
        { ...end, name },
        { ...end, namespace: name },
        { ...end, kind: name },
      ])
        for (const cause of CAUSES)
          for (const settings of [
            [],
            [setting(SKIP_OUTBOUND, /[-a]/.test(name) ? '80' : name, { port: 80, workload: hostile })],
          ])
            for (const candidates of [[], [hostile]]) {
              const text =
                fixOf({ ...row, cause, source: hostile, destination: hostile, settings, candidates, cluster: name }) ??
                ''
              assert.ok(name === '' || !text.includes(name), text)
              assert.doesNotMatch(text, /[`$]|; ?rm/)
              for (const line of text.split('\n').slice(1)) assert.match(line, /^(#|kubectl|linkerd|ciphertrail) /)
            }
  })
})
