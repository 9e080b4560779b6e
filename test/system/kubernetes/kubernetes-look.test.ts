import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { kubernetesReplay } from '../../../demo/replay-kubernetes.ts'
import { concurrently } from '../../../lib/concurrently.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { linesOf, parseNdjson, runProcess } from '../../support/process/command-line.ts'
import { freshFolder } from '../../support/recorder.ts'
import { FIXTURE, TSDB, whenSettled } from './collector.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/** A cluster with the pods of the recorded mesh, and as many others as make it so many. */
const PODS = 500

const LAST = FIXTURE.windows.at(-1)

type Container = { readonly name: string }
type Listed = {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly ownerReferences?: readonly object[]
  }
  readonly spec: {
    readonly containers: readonly Container[]
    readonly initContainers?: readonly Container[]
    readonly serviceAccountName?: string
  }
  readonly status: {
    readonly podIP?: string
    readonly podIPs?: readonly object[]
    readonly containerStatuses?: readonly object[]
    readonly initContainerStatuses?: readonly object[]
  }
}

let world: World

before(async () => {
  world = await startWorld({ number: 9, tsdb: TSDB })
  const lists = kubernetesReplay(FIXTURE.kubernetes)
  const listed = (path: string): Listed[] => {
    const { body } = lists(path, new Date(whenSettled(LAST ?? { start: '', end: '' })))
    return (JSON.parse(body) as { items: Listed[] }).items
  }
  // The world has a Prometheus and a dashboard of its own, which are asked.
  const pods = listed('/api/v1/pods').filter(({ metadata: { namespace, labels } }) => {
    return namespace !== 'linkerd-viz' || !['prometheus', 'web'].includes(labels?.['component'] ?? '')
  })
  const [pattern] = pods.filter(({ metadata }) => metadata.name.startsWith('emoji-'))
  assert.ok(pattern)
  const others = Array.from({ length: PODS - pods.length }, (_, index) => crowdPod(pattern, index))
  const all = [...pods, ...others]
  for (const namespace of new Set(all.map(({ metadata }) => metadata.namespace)))
    await world.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const accounts = new Set(
    all.map(({ metadata, spec }) => `${metadata.namespace}/${spec.serviceAccountName ?? 'default'}`),
  )
  for (const account of accounts) {
    const [namespace, name] = account.split('/')
    await world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } })
  }
  for (const { metadata } of listed('/apis/apps/v1/replicasets')) await world.apply(replicaSet(metadata))
  await concurrently(all, 8, addPod)
})
after(() => world?.stop())

/** A pod with a proxy that nobody scrapes. */
function crowdPod(pattern: Listed, index: number): Listed {
  const ip = `10.250.${Math.floor(index / 250)}.${(index % 250) + 1}`
  return {
    ...pattern,
    metadata: {
      ...pattern.metadata,
      name: `crowd-${index}`,
      namespace: 'crowd',
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `crowd-${index % 50}`,
          uid: `crowd-${index % 50}`,
          controller: true,
        },
      ],
    },
    status: { ...pattern.status, podIP: ip, podIPs: [{ ip }] },
  }
}

/** No controller runs here: it stays as it is. */
function replicaSet({ name, namespace, ownerReferences }: Listed['metadata']): object {
  const labels = { pod: name }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace, ...(ownerReferences === undefined ? {} : { ownerReferences }) },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'none', image: 'none:test' }] } },
    },
  }
}

/** Makes a pod that runs nowhere, with the status that was recorded. */
async function addPod({ metadata, spec, status }: Listed): Promise<void> {
  const withImage = (containers: readonly Container[]) => containers.map((one) => ({ ...one, image: 'none:test' }))
  const { name, namespace, labels, annotations, ownerReferences } = metadata
  await world.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, annotations, ownerReferences },
    spec: {
      ...spec,
      automountServiceAccountToken: false,
      containers: withImage(spec.containers),
      initContainers: withImage(spec.initContainers ?? []),
    },
  })
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`
  const answered = await world.ask('PATCH', path, { status })
  assert.equal(answered.status, 200, JSON.stringify(answered.body))
}

/** Every file of a folder, with its bytes. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .map((path) => `${path} ${readFileSync(path).toString('base64')}`)
}

test(`look at a real cluster of ${PODS} pods shows the recorded mesh by port-forward, and stores nothing`, async (context) => {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'config'), world.kubeconfigOf(await world.token()))
  const added = await runProcess(['cluster', 'add', 'real', '--kubeconfig', 'config'], { folder })
  assert.equal(added.code, 0, added.stderr)
  const before = filesOf(folder)
  assert.ok(LAST)
  const args = ['look', '--now', whenSettled(LAST), '--last', '5m']
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    const begun = performance.now()
    const { code, stdout, stderr } = await runProcess(args, { folder })
    times.push(performance.now() - begun)
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.match(stdout, /^\d+ of \d+ judged paths are not encrypted/)
    assert.match(stdout, /^▲ plaintext +\(unmeshed\)\s+deployment\/emojivoto\/voting:8080/m)
    assert.match(stdout, /not-a-target/)
    for (const line of linesOf(stdout)) assert.ok(line.length <= 100, line)
  }
  const seconds = times.map((time) => (time / 1000).toFixed(1)).join(', ')
  context.diagnostic(`from the command to its end, with the start of Node: ${seconds} s`)
  assert.deepEqual(filesOf(folder), before)

  const [look] = parseNdjson((await runProcess([...args, '--json'], { folder })).stdout) as unknown as [
    { window: { start: string; end: string }; paths: { state: string }[]; notSeen: { namespace: string }[] },
  ]
  assert.equal(toSeconds(look.window.end) - toSeconds(look.window.start), 300)
  assert.ok(look.paths.some(({ state }) => state === 'mtls'))
  assert.equal(look.notSeen.filter(({ namespace }) => namespace === 'crowd').length, 50)
})
