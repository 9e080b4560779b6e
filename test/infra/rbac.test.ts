import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadAll } from 'js-yaml'
import {
  PROXY_RIGHTS,
  forwardRights,
  grantText,
  kubernetesRights,
  tapRights,
} from '../../lib/collect/cluster/rights.ts'
import type { Right } from '../../lib/collect/cluster/rights.ts'
import type { Cluster } from '../../lib/model/registry.ts'

/** What capturing packets in a namespace needs, which is asked for by hand alone. */
const PACKETS_RIGHTS: readonly Right[] = [
  { verb: 'list', group: '', resource: 'pods', namespace: 'shop' },
  { verb: 'get', group: '', resource: 'pods/exec', namespace: 'shop' },
  { verb: 'create', group: '', resource: 'pods/exec', namespace: 'shop' },
]

const FOLDER = join(import.meta.dirname, '../../infra/rbac')

type Rule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}
type Manifest = {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly rules?: readonly Rule[]
  readonly roleRef?: { readonly kind: string; readonly name: string }
  readonly subjects?: readonly object[]
}

const read = (file: string): readonly Manifest[] => loadAll(readFileSync(join(FOLDER, file), 'utf8')) as Manifest[]

/** Everything that the roles of a file grant, in words, sorted. */
const granted = (file: string): string[] =>
  read(file)
    .flatMap(({ metadata: { namespace }, rules = [] }) =>
      rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            resourceNames.flatMap((name) =>
              verbs.map((verb) =>
                grantText({
                  verb: verb as Right['verb'],
                  group,
                  resource,
                  ...(namespace && { namespace }),
                  ...(name && { name }),
                }),
              ),
            ),
          ),
        ),
      ),
    )
    .toSorted()

const cluster: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
}
const needed = (rights: readonly Right[]): string[] => rights.map(grantText).toSorted()

describe('infra/rbac', () => {
  test('grants what each way needs, and nothing else', () => {
    assert.deepEqual(granted('lists.yaml'), needed(kubernetesRights(cluster)))
    assert.deepEqual(granted('port-forward.yaml'), needed(forwardRights(cluster, { namespace: 'linkerd-viz' })))
    assert.deepEqual(granted('proxies.yaml'), needed(PROXY_RIGHTS))
    const named = forwardRights(cluster, { namespace: 'monitoring', service: 'prometheus' }).map((right): Right =>
      right.resource === 'pods/portforward' ? { ...right, name: 'prometheus-0' } : right,
    )
    assert.deepEqual(granted('port-forward-service.yaml'), needed(named))
    assert.deepEqual(granted('tap.yaml'), needed(tapRights({ tapSeconds: 10 })))
    assert.deepEqual(tapRights({}), [])
    assert.deepEqual(granted('packets.yaml'), needed(PACKETS_RIGHTS))
  })

  test('binds each role, in its namespace, to the ServiceAccount and to nobody else', () => {
    for (const file of readdirSync(FOLDER)) {
      const manifests = read(file)
      const roles = manifests.filter(({ rules }) => rules !== undefined)
      assert.ok(roles.length > 0, file)
      for (const { kind, metadata } of roles) {
        const bindings = manifests.filter(({ roleRef }) => roleRef?.kind === kind && roleRef.name === metadata.name)
        assert.deepEqual(
          bindings.map((binding) => [binding.kind, binding.metadata, binding.subjects]),
          [[`${kind}Binding`, metadata, [{ kind: 'ServiceAccount', name: 'ciphertrail', namespace: 'ciphertrail' }]]],
          `${file} ${metadata.name}`,
        )
      }
    }
  })

  test('says above each rule why each verb is there', () => {
    for (const file of readdirSync(FOLDER)) {
      const lines = readFileSync(join(FOLDER, file), 'utf8').split('\n')
      const rules = read(file).flatMap(({ rules: own = [] }) => own)
      const starts = lines.flatMap((line, index) => (line.startsWith('  - apiGroups:') ? [index] : []))
      assert.equal(starts.length, rules.length)
      for (const [index, start] of starts.entries()) {
        const first = lines.slice(0, start).findLastIndex((line) => !line.startsWith('  # '))
        const comments = lines.slice(first + 1, start)
        for (const verb of rules[index]?.verbs ?? [])
          assert.ok(
            comments.some((line) => line.startsWith(`  # ${verb}`) && line.includes(': ')),
            `${file}:${start + 1} does not say why "${verb}" is there`,
          )
      }
    }
  })
})
