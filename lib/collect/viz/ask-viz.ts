import type { Cluster } from '../../model/registry.ts'
import type { Snapshot, VizAnswer } from '../../model/snapshot.ts'
import type { Window } from '../../model/time.ts'
import { VizEdgesError, parseVizEdges } from '../../observed/viz-edges.ts'
import { timeOf, toSeconds } from '../../time/windows.ts'
import type { VizApi } from '../cluster/apis.ts'
import { SourceError } from '../../net/errors.ts'

/** Kinds for `linkerd viz edges`. Not pods, since workloads are kept; nor Jobs and ReplicaSets, which count as their owners. */
const KINDS = ['deployment', 'statefulset', 'daemonset'] as const

/** Whether the moment is in the window after the given one: viz shows current connections, so it says nothing about any other window. */
export function isJustOver({ start, end }: Window, now: Date): boolean {
  const [from, to] = [toSeconds(start), toSeconds(end)]
  const seconds = now.getTime() / 1000
  return seconds > to && seconds <= to + (to - from)
}

/**
 * Asks viz's dashboard for the current result of `linkerd viz edges`, of all namespaces. Undefined if the cluster's connection says not to. Never throws for
 * failures of a server: a failure is reported in one line.
 */
export async function collectViz(viz: VizApi, cluster: Cluster, now: Date): Promise<Snapshot['viz']> {
  const answers: VizAnswer[] = []
  const errors: string[] = []
  for (const kind of KINDS) {
    const what = `read what linkerd viz edges shows of cluster "${cluster.id}"`
    try {
      const body = await viz.get(`/api/edges?resource_type=${kind}&all_namespaces=true`, { what })
      parseVizEdges(body)
      answers.push({ kind, body })
    } catch (error) {
      if (error instanceof VizEdgesError) errors.push(`Cannot ${what}: ${error.message}`)
      else if (!(error instanceof SourceError)) throw error
      else if (error.kind === 'configuration') return undefined
      else errors.push(error.message)
      break // the other kinds would fail, too
    }
  }
  const server = viz.servers().at(-1)
  return {
    status: errors.length === 0 ? 'complete' : answers.length === 0 ? 'failed' : 'partial',
    errors,
    takenAt: timeOf(now),
    ...(server === undefined ? {} : { server }),
    answers,
  }
}
