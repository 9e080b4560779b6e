import type { Cluster } from '../../model/registry.ts'
import { podByForward } from '../forward/pod-by-forward.ts'
import type { ForwardDeps } from '../forward/pod-by-forward.ts'
import { findPrometheus } from './prometheus-pod.ts'
import { COMMON_HINTS } from './transport.ts'
import type { PrometheusTransport } from './transport.ts'
import type { Hints } from '../../net/errors.ts'

/** Connects by port-forward through the API server to the pod that {@link findPrometheus} finds. */
export function prometheusByForward(cluster: Cluster, deps: ForwardDeps): PrometheusTransport {
  return {
    source: 'metrics',
    name: 'Prometheus',
    needs: 'pod of',
    limits: deps.limits,
    hints: FORWARD_HINTS,
    ...podByForward(() => findPrometheus(deps.api, cluster), deps),
  }
}

const FORWARD_HINTS: Hints = {
  ...COMMON_HINTS,
  unauthorized: 'a Prometheus that wants credentials is reached by its address, with --prometheus-url',
  'not-found': 'is it Prometheus that listens there?',
  connection: 'its pod may be starting, collect again',
  malformed: 'is it Prometheus that listens there?',
}
