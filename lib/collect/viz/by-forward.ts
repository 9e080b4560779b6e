import type { Cluster } from '../../model/registry.ts'
import { podByForward } from '../forward/pod-by-forward.ts'
import type { ForwardDeps } from '../forward/pod-by-forward.ts'
import { findTarget } from '../prometheus/prometheus-pod.ts'
import { findReadyPod } from '../kubernetes/ready-pod.ts'
import { UnreachableError } from '../../net/errors.ts'
import type { Hints } from '../../net/errors.ts'
import type { Server } from '../../net/http-attempt.ts'

/** The selector of linkerd-viz's Service `web`. */
const WEB_LABELS = { component: 'web', 'linkerd.io/extension': 'viz' } as const
const WEB_PORT = 8084

const WORDS = {
  name: 'the dashboard of linkerd-viz',
  missing: 'is its dashboard (the Deployment "web") installed?',
  starting: 'wait until it runs, then collect again',
} as const

/** Not worth a long wait: it is only compared. */
const MAX_DEADLINE_MS = 10_000

/** The transport to viz's dashboard, which answers what `linkerd viz edges` shows. */
export type VizTransport = Server & { readonly hints: Hints; readonly servers: () => readonly string[] }

/**
 * Connects by port-forward to the dashboard of linkerd-viz. Only if its own Prometheus is reached in the same way, so that it needs no additional permission:
 * if viz uses another Prometheus the request fails with the kind `configuration`.
 */
export function vizByForward(cluster: Cluster, deps: ForwardDeps): VizTransport {
  const limits = { ...deps.limits, deadlineMs: Math.min(deps.limits.deadlineMs, MAX_DEADLINE_MS) }
  const find = async () => {
    const { service } = await findTarget(deps.api, cluster)
    if (service !== undefined)
      throw new UnreachableError('configuration', 'linkerd-viz uses a Prometheus in another place')
    const { vizNamespace } = cluster
    return findReadyPod(deps.api, { namespace: vizNamespace, labels: WEB_LABELS, port: WEB_PORT }, WORDS)
  }
  return {
    source: 'viz',
    name: WORDS.name,
    needs: 'pod of',
    limits,
    hints: HINTS,
    ...podByForward(find, { ...deps, limits }),
  }
}

const HINTS: Hints = {
  timeout: 'is it reachable from here, and not overloaded?',
  'not-found': 'is it the dashboard of linkerd-viz that listens there?',
  connection: 'its pod may be starting, collect again',
  malformed: 'is it the dashboard of linkerd-viz that listens there?',
  rejected: 'does its enforcedHostRegexp allow localhost?',
  server: 'viz’s metrics-api may be down, try "linkerd viz check"',
}
