import type { PodContainerSpec, Pod } from '../../observed/kubernetes-fields.ts'
import { toSeconds } from '../../time/windows.ts'
import type { Seconds } from '../../model/time.ts'

/** A probe that the kubelet sends to a container. */
export type Probe = {
  readonly container: string
  /** 0 if it has none. */
  readonly port: number
  /** Its protocol, which decides how the server's proxy counts it. An `exec` probe sends nothing. */
  readonly kind: 'http' | 'https' | 'grpc' | 'tcp' | 'exec'
  readonly use: 'liveness' | 'readiness' | 'startup'
  readonly periodSeconds: number
  readonly initialDelaySeconds: number
  /** Null if the stored list does not have it. */
  readonly failureThreshold: number | null
}

/** The facts about a pod in one list that decide how often the kubelet probes it. */
export type ProbeLook = {
  readonly takenAt: Seconds
  readonly isReady: boolean
  /** Since when `isReady` has this value; null if the list does not show it. */
  readonly since: Seconds | null
  readonly containers: readonly ContainerLook[]
}

/** One container in a {@link ProbeLook}. */
export type ContainerLook = {
  readonly name: string
  readonly isReady: boolean
  /** Whether its startup probe has succeeded; null if the list does not show it. */
  readonly isStarted: boolean | null
  /** When it last started; null if it does not run. */
  readonly startedAt: Seconds | null
  readonly restarts: number
}

/** Kubernetes' default for `periodSeconds`. */
const PERIOD_SECONDS = 10

/** Returns the probes of containers. A named port is looked up only in its own container, as the kubelet does. */
export function probesOf(
  containers: readonly Pick<PodContainerSpec, 'name' | 'ports' | 'livenessProbe' | 'readinessProbe' | 'startupProbe'>[],
): Probe[] {
  return containers.flatMap(({ name, ports, livenessProbe, readinessProbe, startupProbe }) =>
    Object.entries({ liveness: livenessProbe, readiness: readinessProbe, startup: startupProbe }).flatMap(
      ([use, probe]): Probe[] => {
        if (probe === undefined) return []
        const wanted = (probe.httpGet ?? probe.grpc ?? probe.tcpSocket)?.port
        const port =
          typeof wanted === 'string' ? ports?.find((candidate) => candidate.name === wanted)?.containerPort : wanted
        return [
          {
            container: name,
            port: port ?? 0,
            kind: kindOf(probe),
            use: use as Probe['use'],
            periodSeconds: Math.max(1, probe.periodSeconds ?? PERIOD_SECONDS),
            initialDelaySeconds: probe.initialDelaySeconds ?? 0,
            failureThreshold: probe.failureThreshold ?? null,
          },
        ]
      },
    ),
  )
}

function kindOf({ httpGet, grpc, tcpSocket }: NonNullable<PodContainerSpec['livenessProbe']>): Probe['kind'] {
  if (httpGet !== undefined) return httpGet.scheme?.toUpperCase() === 'HTTPS' ? 'https' : 'http'
  return grpc === undefined ? (tcpSocket === undefined ? 'exec' : 'tcp') : 'grpc'
}

/** Reads a pod's readiness from a list. */
export function lookOf({ status }: Pick<Pod, 'status'>, takenAt: Seconds): ProbeLook {
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  const condition = status?.conditions?.find(({ type }) => type === 'Ready')
  const containers = statuses.map(({ name, ready, started, restartCount, state }): ContainerLook => {
    const startedAt = state?.running?.startedAt
    return {
      name,
      isReady: ready ?? false,
      isStarted: started ?? null,
      startedAt: startedAt === undefined ? null : toSeconds(startedAt),
      restarts: restartCount ?? 0,
    }
  })
  const changedAt = condition?.lastTransitionTime
  return {
    takenAt,
    isReady:
      condition === undefined
        ? (status?.containerStatuses ?? []).every(({ ready }) => ready === true)
        : condition.status === 'True',
    since: changedAt === undefined ? null : toSeconds(changedAt),
    containers,
  }
}
