import { openCluster } from '../../lib/collect/cluster/open-cluster.ts'
import { collectWindow } from '../../lib/collect/snapshot.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { useBudget } from '../../lib/observed/budget.ts'
import { encodeSnapshot } from '../../lib/store/evidence/evidence.ts'
import { peakMegabytes } from '../support/process/peak-memory.ts'

// Collects a window of a cluster in a process of its own, and says how much memory that took. Arguments: the kubeconfig, the address of Prometheus.
useBudget(process.env['CIPHERTRAIL_BUDGET'])
const [kubeconfig = '', prometheusUrl = ''] = process.argv.slice(2)
const cluster: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  kubeconfig,
  prometheusUrl,
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 5 }],
}
const environment = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
const access = openCluster(cluster, { environment, retryDelayMs: 1 })
const snapshot = await collectWindow(
  cluster,
  { start: '2026-11-24T12:25:00Z', end: '2026-11-24T12:30:00Z' },
  { collector: { name: 'ciphertrail', version: 'test' }, isReplay: true },
  { access, now: () => new Date('2026-11-24T12:31:00Z') },
)
await access.close()
const { complete, metrics, kubernetes } = snapshot
process.stdout.write(
  JSON.stringify({
    complete,
    metrics: { status: metrics.status, errors: metrics.errors, answers: metrics.answers.length },
    kubernetes: {
      status: kubernetes.status,
      errors: kubernetes.errors,
      lists: Object.fromEntries(kubernetes.lists.map(({ resource, items }) => [resource, items.length])),
    },
    stored: (await encodeSnapshot(snapshot)).length,
    megabytes: peakMegabytes(),
  }),
)
