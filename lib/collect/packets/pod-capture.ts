import * as z from 'zod'
import type { Cluster } from '../../model/registry.ts'
import type { ExecEnding, Execution } from './exec.ts'
import type { PacketRow } from '../../observed/packet-rows.ts'
import { grantText } from '../cluster/rights.ts'
import { oneLine, withoutSecrets } from '../../text/redact.ts'
import { CaptureError, DISSECTORS, TSHARK_ARGUMENTS, lastLine, packetRows } from './tshark.ts'
import type { ClusterAccess } from '../cluster/cluster-access.ts'
import { SourceError, UnreachableError } from '../../net/errors.ts'

/** The container that Linkerd's injector adds for `config.linkerd.io/enable-debug-sidecar: "true"`; it has tshark. */
const CONTAINER = 'linkerd-debug'

/** Added to the time of the capture: for starting tshark in a container with little CPU, and for data in transit. */
const GRACE_MS = 30_000

/** More than a sample needs: each packet's payload is transferred, and dropped here. */
const MAX_PACKETS = 200_000

/** The place of a packet capture. */
export type CapturePlace = {
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  readonly container: string
  readonly node: string | null
  /** The pod's addresses. */
  readonly addresses: readonly string[]
}

/** Duration and filter of a capture in a pod. */
export type PodCaptureOptions = {
  readonly seconds: number
  /** Only packets from or to this port; absent: all. */
  readonly port?: number | undefined
  /** Timeout after {@link seconds}; default 30 s. */
  readonly graceMs?: number
}

const name = z.string().regex(/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/)

const podSchema = z.object({
  metadata: z.object({ name, namespace: name, uid: z.string() }),
  spec: z.object({
    nodeName: z.string().nullish(),
    containers: z.array(z.object({ name: z.string() })),
    initContainers: z.array(z.object({ name: z.string() })).nullish(),
  }),
  status: z.object({
    phase: z.string().nullish(),
    podIPs: z.array(z.object({ ip: z.string() })).nullish(),
    podIP: z.string().nullish(),
  }),
})
const listSchema = z.object({ items: z.array(z.unknown()) })

/**
 * Finds a place to capture: a running pod with Linkerd's debug container.
 *
 * @throws CaptureError that says how to get one
 */
export async function findCapturePlace(
  { kubernetes }: Pick<ClusterAccess, 'kubernetes'>,
  cluster: Pick<Cluster, 'id'>,
  pod: { readonly namespace: string; readonly name: string },
): Promise<CapturePlace> {
  const cannot = (state: string, cause?: unknown): CaptureError => captureError(cluster, pod, state, { cause })
  const query = new URLSearchParams({ fieldSelector: `metadata.name=${pod.name}` })
  let answer: unknown
  try {
    answer = await kubernetes.get(`/api/v1/namespaces/${pod.namespace}/pods?${query.toString()}`, {
      what: `list pods of cluster "${cluster.id}"`,
      hints: { forbidden: grantText({ verb: 'list', group: '', resource: 'pods', namespace: pod.namespace }) },
    })
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    throw cannot(error.problem + (error.hint === undefined ? '' : `; ${error.hint}`), error)
  }
  const found = (listSchema.safeParse(answer).data?.items ?? [])
    .flatMap((item) => podSchema.safeParse(item).data ?? [])
    .find(({ metadata }) => metadata.name === pod.name && metadata.namespace === pod.namespace)
  if (found === undefined) throw cannot('there is no such pod')
  const { metadata, spec, status } = found
  // A native sidecar is an init container.
  const containers = [...spec.containers, ...(spec.initContainers ?? [])]
  if (!containers.some((container) => container.name === CONTAINER))
    throw cannot(
      `it has no container "${CONTAINER}"; annotate the pods of its workload with config.linkerd.io/enable-debug-sidecar: "true", restart them, and name a new one`,
    )
  if (status.phase !== 'Running') throw cannot(`its phase is ${oneLine(status.phase ?? 'unknown')}, wanted Running`)
  const addresses = [...new Set([status.podIP ?? '', ...(status.podIPs ?? []).map(({ ip }) => ip)])]
  return {
    namespace: metadata.namespace,
    pod: metadata.name,
    uid: metadata.uid,
    container: CONTAINER,
    node: spec.nodeName ?? null,
    addresses: addresses.filter((address) => address !== ''),
  }
}

function captureError(
  { id }: Pick<Cluster, 'id'>,
  pod: { readonly namespace: string; readonly name: string },
  state: string,
  options?: ErrorOptions,
): CaptureError {
  return new CaptureError(`Cannot capture in pod "${pod.namespace}/${pod.name}" of cluster "${id}": ${state}`, options)
}

/**
 * Captures for some seconds in a pod's debug container, and yields its TCP and UDP packets as they arrive, without payload. tshark ends by itself, even if the
 * connection is lost.
 *
 * @throws CaptureError if it did not complete; earlier packets were yielded
 */
export async function* capturePod(
  { exec }: Pick<ClusterAccess, 'exec'>,
  cluster: Pick<Cluster, 'id'>,
  place: CapturePlace,
  { seconds, port, graceMs = GRACE_MS }: PodCaptureOptions,
): AsyncGenerator<PacketRow> {
  const named = { namespace: place.namespace, name: place.pod }
  const cannot = (state: string, cause?: unknown): CaptureError => captureError(cluster, named, state, { cause })
  let running: Execution
  try {
    running = await exec(place, captureCommand(seconds, port))
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error
    throw cannot(error.message + (error.hint === undefined ? '' : `; ${error.hint}`), error)
  }
  let isLate = false
  const timer = setTimeout(
    () => {
      isLate = true
      running.close()
    },
    seconds * 1000 + graceMs,
  )
  let rows = 0
  const before = (): string => (rows === 0 ? '' : `; what is shown comes from the ${rows} packets before`)
  try {
    try {
      for await (const row of packetRows(running.output, `the packets of pod "${place.namespace}/${place.pod}"`)) {
        rows++
        yield row
      }
    } catch (error) {
      if (isLate) throw cannot(`tshark did not end within ${seconds + graceMs / 1000} s${before()}`, error)
      if (error instanceof UnreachableError) throw cannot(`${error.message}${before()}`, error)
      throw error
    }
    if (isLate) throw cannot(`tshark did not end within ${seconds + graceMs / 1000} s${before()}`)
    const problem = problemOf(running.ending())
    if (problem !== undefined) throw cannot(`${problem}${before()}`)
    if (rows >= MAX_PACKETS)
      throw cannot(`there are more than ${MAX_PACKETS} packets, choose some with --port, or a shorter time${before()}`)
  } finally {
    clearTimeout(timer)
    running.close()
  }
}

/** Why it did not end well; undefined if it did. */
function problemOf(ending: ExecEnding | undefined): string | undefined {
  if (ending === undefined) return 'it does not say how tshark ended'
  const { code, said } = ending
  if (code === 0) return undefined
  if (code === null) return `the container's runtime says: ${said}`
  if (code === 127) return `its container "${CONTAINER}" has no tshark`
  return `tshark says: ${withoutSecrets(lastLine(said), [])}`
}

/**
 * A command that captures for a limited time and prints the rows that {@link packetRows} reads. It switches off all dissectors that are not needed; these are
 * too many for a request, so the container's own shell lists them.
 */
function captureCommand(seconds: number, port: number | undefined): string[] {
  const script = [
    'set -f',
    'WIRESHARK_CONFIG_DIR=/nonexistent; HOME=/nonexistent; LC_ALL=C.UTF-8; TZ=UTC',
    'export WIRESHARK_CONFIG_DIR HOME LC_ALL TZ',
    'off=',
    `for name in $(tshark -G protocols 2>/dev/null | cut -f3); do case " ${[...DISSECTORS].join(' ')} " in *" $name "*) ;; *) case $name in _ws.*|ipv6.*) ;; *) off="$off --disable-protocol $name";; esac;; esac; done`,
    'exec tshark "$@" $off',
  ].join('\n')
  return [
    'sh',
    '-c',
    script,
    'ciphertrail',
    '-i',
    'any',
    '-l', // each packet as it arrives
    '-a',
    `duration:${seconds}`,
    '-c',
    String(MAX_PACKETS),
    '-f',
    port === undefined ? 'tcp or udp' : `port ${port}`,
    ...TSHARK_ARGUMENTS,
  ]
}
