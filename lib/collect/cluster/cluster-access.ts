import type { PageReader } from '../proxies/proxy-page.ts'
import type { PodContainer, Execution } from '../packets/exec.ts'
import type { KubernetesApi, PrometheusApi, VizApi } from './apis.ts'

/** The sources of a cluster. Nothing is read or connected before the first request, so opening never fails. */
export type ClusterAccess = {
  readonly kubernetes: KubernetesApi
  readonly prometheus: PrometheusApi
  /** Null if Prometheus is not reached by port-forward, so that nothing else is either. */
  readonly viz: VizApi | null
  /** The metrics page of a proxy, by the name of its pod. */
  readonly proxyPage: PageReader
  /** Starts a command in a container. The caller closes it. Throws UnreachableError. */
  readonly exec: (container: PodContainer, command: readonly string[]) => Promise<Execution>
  /** Closes all connections at once. */
  readonly close: () => Promise<void>
}
