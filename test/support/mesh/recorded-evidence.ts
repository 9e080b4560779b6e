import { openFixture } from '../../../demo/fixture.ts'
import { kubernetesReplay } from '../../../demo/replay-kubernetes.ts'
import { prometheusReplay } from '../../../demo/replay-prometheus.ts'
import type { AssessInput } from '../../../lib/assess/window/window.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { listsOf } from '../../../lib/history/evidence-index.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { SourceError } from '../../../lib/net/errors.ts'
import { SETTLE_SECONDS, toSeconds } from '../../../lib/time/windows.ts'

/**
 * Collects the windows of a fixture from its files, without sockets, and gives of each what it is assessed from: the attempt, and the lists around it.
 * `metadata.name` of the registered cluster is `mesh`.
 */
export async function recordedEvidence(folder: string): Promise<AssessInput[]> {
  const fixture = openFixture(folder)
  const kubernetes = kubernetesReplay(fixture.kubernetes)
  const prometheus = await prometheusReplay(fixture.prometheus)
  const snapshots: Snapshot[] = []
  for (const window of fixture.windows) snapshots.push(await collected(window, { kubernetes, prometheus }))
  const lists = snapshots.map((snapshot, index) => listsOf(`lists ${index}`, snapshot))
  return snapshots.map((snapshot, index) => ({
    key: `attempt ${index}`,
    snapshot,
    before: lists[index - 1] ?? null,
    after: lists[index] ?? null,
  }))
}

type Replay = {
  readonly kubernetes: ReturnType<typeof kubernetesReplay>
  readonly prometheus: Awaited<ReturnType<typeof prometheusReplay>>
}

function collected(window: Window, { kubernetes, prometheus }: Replay): Promise<Snapshot> {
  const now = new Date((toSeconds(window.end) + SETTLE_SECONDS) * 1000)
  const nothing = (what: string) => Promise.reject(new Error(`Cannot ${what}: it was not recorded`))
  const access: ClusterAccess = {
    prometheus: {
      servers: () => [],
      ask(_method, path, parameters) {
        const time = JSON.stringify({
          status: 'success',
          data: { resultType: 'scalar', result: [0, String(now.getTime() / 1000)] },
        })
        return Promise.resolve(parameters.get('query') === 'time()' ? time : prometheus(path, parameters).body)
      },
    },
    kubernetes: {
      get(path, { what }) {
        const { status, body } = kubernetes(path, now)
        if (status === 200) return Promise.resolve(JSON.parse(body) as unknown)
        return Promise.reject(new SourceError({ source: 'kubernetes', what }, 'not-found', 'there is none', { status }))
      },
      review: (_path, _question, { what }) => nothing(what),
      stream: (_path, _body, _forMs, { what }) => nothing(what),
    },
    viz: null,
    proxyPage: () => nothing('read a proxy'),
    exec: () => nothing('run a command'),
    close: () => Promise.resolve(),
  }
  const cluster = {
    id: 'mesh',
    registeredAt: window.start,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [{ since: '2026-01-01T00:00:00Z', minutes: 5 as const }],
  }
  return collectWindow(
    cluster,
    window,
    { collector: { name: 'ciphertrail', version: '0.0.0' }, isReplay: true },
    { access, now: () => now },
  )
}
