import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DEMO_FIXTURE, openFixture } from '../../../demo/fixture.ts'
import { askRights } from '../../../lib/collect/cluster/check-rights.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { Right } from '../../../lib/collect/cluster/rights.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { Window } from '../../../lib/model/time.ts'
import { freshFolder } from '../../support/recorder.ts'
import type { World } from './world.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import { SourceError } from '../../../lib/net/errors.ts'

/** The recording that the Prometheus of each world has. */
export const FIXTURE = openFixture(DEMO_FIXTURE)
export const TSDB = join(import.meta.dirname, '../../recordings/demo/tsdb.tar.zst')

/** An environment that leads nowhere. */
export const NOTHING = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
const QUERY = new URLSearchParams({ query: 'vector(1)' })

/** A cluster that is known by its kubeconfig alone. */
export function registered(kubeconfig: string): Cluster {
  return {
    id: 'real',
    registeredAt: '2026-11-24T00:00:00Z',
    kubeconfig,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [{ since: '1970-01-01T00:00:00Z', minutes: 5 }],
  }
}

/** A kubeconfig of the collector, and the cluster opened with it. */
export async function openCollector(context: TestContext, world: World, token?: string) {
  const kubeconfig = join(freshFolder(context), 'config')
  writeFileSync(kubeconfig, world.kubeconfigOf(token ?? (await world.token())))
  const cluster = registered(kubeconfig)
  const access = openCluster(cluster, { environment: NOTHING, prometheusDeadlineMs: 20_000, retryDelayMs: 50 })
  context.after(() => access.close())
  return { cluster, access, kubeconfig }
}

/** The answer of Prometheus, or the one line that says why there is none. */
export async function askLine(access: ClusterAccess, parameters = QUERY): Promise<{ body?: string; line?: string }> {
  try {
    return { body: await access.prometheus.ask('POST', '/api/v1/query', parameters, { what: 'query' }) }
  } catch (error) {
    assert.ok(error instanceof SourceError, String(error))
    return { line: error.message }
  }
}

/** A window of the recording. */
export function windowAt(index: number): Window {
  const window = FIXTURE.windows[index]
  assert.ok(window)
  return window
}

/** When a window can first be collected. */
export const whenSettled = ({ end }: Window): string => toTime(toSeconds(end) + SETTLE_SECONDS)

/** Waits until the API server itself allows or refuses something to the collector: its view of roles is a moment behind. */
export async function untilAllowed(context: TestContext, world: World, right: Right, wanted: boolean): Promise<void> {
  const { cluster, access } = await openCollector(context, world)
  for (;;) {
    const { needed, problem } = await askRights(access.kubernetes, cluster, [{ ...right, why: '' }])
    assert.equal(problem, null)
    if (needed[0]?.isThere === wanted) return
    await sleep(50)
  }
}
