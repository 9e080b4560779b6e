import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'

/** A folder of its own for a test, which is gone after it. */
export function freshFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Objects by file name (`pods`, `servers.v1beta3.policy.linkerd.io`), with the list's kind and version. */
export type Recorded = Readonly<Record<string, { kind: string; apiVersion: string; items: readonly unknown[] }>>

/** Writes lists as a recording holds them: small ones as they are, every other one gzipped. */
export function writeRecording(folder: string, stamp: string, lists: Recorded): void {
  mkdirSync(join(folder, stamp), { recursive: true })
  for (const [index, [name, list]] of Object.entries(lists).entries()) {
    const text = JSON.stringify({ metadata: { resourceVersion: '1' }, ...list })
    const file = join(folder, stamp, `${name}.json`)
    if (index % 2 === 0) writeFileSync(file, text)
    else writeFileSync(`${file}.gz`, gzipSync(text))
  }
}

/** A pod as an API server describes it, with what must not be kept. */
export function recordedPod(name: string, namespace = 'shop'): Record<string, unknown> {
  return {
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      creationTimestamp: '2026-11-24T12:00:00Z',
      labels: { app: name, tls: 'true' },
      annotations: { 'linkerd.io/inject': 'enabled', 'vault.example/password': 'SECRET-annotation' },
      managedFields: [{ manager: 'SECRET-manager' }],
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${name}-1`,
          uid: 'u',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      serviceAccountName: name,
      nodeName: 'SECRET-node',
      volumes: [{ name: 'v', secret: { secretName: 'SECRET-volume' } }],
      initContainers: [
        { name: 'linkerd-init', image: 'SECRET-image', args: ['--inbound-ports-to-ignore', '4190,4191'] },
        {
          name: 'linkerd-proxy',
          restartPolicy: 'Always',
          args: ['SECRET-argument'],
          env: [
            { name: 'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY', value: 'deny' },
            { name: 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS', valueFrom: { configMapKeyRef: { name: 'SECRET-map' } } },
            { name: 'LINKERD2_PROXY_LOG', value: 'SECRET-log' },
          ],
        },
      ],
      containers: [
        {
          name: 'app',
          command: ['SECRET-command'],
          args: ['--password=SECRET'],
          env: [
            { name: 'PASSWORD', value: 'SECRET-env' },
            { name: 'LINKERD2_PROXY_IDENTITY_LOCAL_NAME', value: 'SECRET-of-an-application' },
          ],
          ports: [{ containerPort: 8080, protocol: 'TCP', hostIP: 'SECRET-host' }],
          readinessProbe: { httpGet: { port: 8080, path: '/SECRET', scheme: 'HTTP' }, periodSeconds: 5 },
        },
      ],
    },
    status: {
      phase: 'Running',
      podIP: '10.0.0.1',
      podIPs: [{ ip: '10.0.0.1' }],
      message: 'SECRET-message',
      containerStatuses: [
        {
          name: 'app',
          ready: true,
          restartCount: 1,
          image: 'SECRET-image',
          state: { running: { startedAt: '2026-11-24T12:00:09Z' } },
          lastState: {
            terminated: { startedAt: '2026-11-24T12:00:01Z', finishedAt: '2026-11-24T12:00:08Z', message: 'SECRET' },
          },
        },
      ],
    },
  }
}

/** What every cluster serves, with as many pods as wanted. */
export function recordedCluster(pods = 3): Recorded {
  const metadata = (name: string): object => ({ name, namespace: 'shop', creationTimestamp: '2026-11-24T11:00:00Z' })
  const owner = { metadata: metadata('web'), spec: { replicas: 1, template: { metadata: {}, spec: {} } } }
  return {
    pods: { kind: 'PodList', apiVersion: 'v1', items: Array.from({ length: pods }, (_, i) => recordedPod(`web-${i}`)) },
    namespaces: { kind: 'NamespaceList', apiVersion: 'v1', items: [{ metadata: { name: 'shop' } }] },
    services: {
      kind: 'ServiceList',
      apiVersion: 'v1',
      items: [{ metadata: metadata('web'), spec: { type: 'ClusterIP' } }],
    },
    serviceaccounts: { kind: 'ServiceAccountList', apiVersion: 'v1', items: [{ metadata: metadata('web') }] },
    replicasets: { kind: 'ReplicaSetList', apiVersion: 'apps/v1', items: [owner] },
    deployments: { kind: 'DeploymentList', apiVersion: 'apps/v1', items: [owner] },
    statefulsets: { kind: 'StatefulSetList', apiVersion: 'apps/v1', items: [] },
    daemonsets: { kind: 'DaemonSetList', apiVersion: 'apps/v1', items: [] },
    jobs: { kind: 'JobList', apiVersion: 'batch/v1', items: [] },
    cronjobs: { kind: 'CronJobList', apiVersion: 'batch/v1', items: [] },
  }
}
