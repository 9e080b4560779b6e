import * as z from 'zod'
import { compareText } from '../../text/order.ts'
import type { PodPort } from '../forward/port-forward.ts'
import { grantText } from '../cluster/rights.ts'
import { oneLine } from '../../text/redact.ts'
import type { KubernetesApi } from '../cluster/apis.ts'
import { SourceError, UnreachableError } from '../../net/errors.ts'
import type { Hints } from '../../net/errors.ts'

/** A pod to connect to. A pod of the same name with another `uid` is another one, with other data. */
export type ReadyPod = PodPort & { readonly uid: string }

/** Labels of the pods, and the port: a number, or its name in the container. */
export type PodTarget = {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly port: number | string
}

/** The name of what runs in the pods, and the remedies if there is none or none is ready. */
export type PodWords = { readonly name: string; readonly missing: string; readonly starting: string }

/** A Kubernetes object name that is safe in a path. */
export const objectName: z.ZodType<string> = z.string().regex(/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/)

const strings = z.record(z.string(), z.string())

const podSchema = z.object({
  metadata: z.object({
    name: objectName,
    namespace: objectName,
    uid: z.string().min(1),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
    labels: strings.nullish(),
  }),
  spec: z.object({
    containers: z.array(
      z.object({ ports: z.array(z.object({ name: z.string().nullish(), containerPort: z.int() })).nullish() }),
    ),
  }),
  status: z.object({
    phase: z.string().nullish(),
    containerStatuses: z.array(z.object({ ready: z.boolean().nullish() })).nullish(),
  }),
})
type Pod = z.infer<typeof podSchema>

const listSchema = z.object({ items: z.array(z.unknown()) })

/**
 * Finds the pod to forward to by its labels: the oldest ready one.
 *
 * @throws UnreachableError if there is none, or looking for it is not permitted
 */
export async function findReadyPod(
  api: Pick<KubernetesApi, 'get'>,
  target: PodTarget,
  words: PodWords,
): Promise<ReadyPod> {
  const selector = Object.entries(target.labels).map(([label, value]) => `${label}=${value}`)
  const parameters = new URLSearchParams({ labelSelector: selector.join(',') })
  const path = `/api/v1/namespaces/${target.namespace}/pods?${parameters.toString()}`
  const answer = await readObject(api, path, listSchema, {
    what: `list the pods of ${words.name}`,
    hints: { forbidden: grantText({ group: '', verb: 'list', resource: 'pods', namespace: target.namespace }) },
  })
  return choosePod(
    answer.items.flatMap((item) => podSchema.safeParse(item).data ?? []),
    target,
    words,
  )
}

/** The oldest ready pod, so that concurrent callers choose the same. Throws UnreachableError. */
function choosePod(pods: readonly Pod[], { namespace, labels, port }: PodTarget, words: PodWords): ReadyPod {
  // A server that ignores selectors sends all pods.
  const selected = pods.filter(({ metadata }) =>
    Object.entries(labels).every(([label, value]) => metadata.labels?.[label] === value),
  )
  const whose = `with the labels ${Object.entries(labels)
    .map(([label, value]) => oneLine(`${label}=${value}`))
    .join(', ')} in the namespace "${namespace}"`
  if (selected.length === 0)
    throw new UnreachableError('not-found', `there is no pod ${whose}`, { hint: words.missing })
  const ready = selected
    .filter(isReady)
    .toSorted((a, b) => bornAt(a) - bornAt(b) || compareText(a.metadata.name, b.metadata.name))
  const [pod] = ready
  if (pod === undefined)
    throw new UnreachableError('connection', `no pod ${whose} is ready`, {
      again: true,
      hint: words.starting,
    })
  return {
    namespace: pod.metadata.namespace,
    pod: pod.metadata.name,
    uid: pod.metadata.uid,
    port: portOf(pod, port),
  }
}

function isReady({ metadata, status }: Pod): boolean {
  const containers = status.containerStatuses ?? []
  return (
    typeof metadata.deletionTimestamp !== 'string' &&
    status.phase === 'Running' &&
    containers.length > 0 &&
    containers.every(({ ready }) => ready === true)
  )
}

function bornAt({ metadata }: Pod): number {
  return Date.parse(metadata.creationTimestamp ?? '') || 0
}

function portOf({ metadata, spec }: Pod, wanted: number | string): number {
  if (typeof wanted === 'number') return wanted
  const ports = spec.containers.flatMap(({ ports: own }) => own ?? [])
  const found = ports.find((port) => port.name === wanted)
  if (found === undefined)
    throw new UnreachableError('not-found', `the pod "${metadata.name}" has no port "${oneLine(wanted)}"`, {
      hint: 'correct the targetPort of its Service',
    })
  return found.containerPort
}

/**
 * Reads an object from the API server, in the wanted shape.
 *
 * @throws UnreachableError
 */
export async function readObject<T>(
  api: Pick<KubernetesApi, 'get'>,
  path: string,
  schema: z.ZodType<T>,
  asking: { readonly what: string; readonly hints: Hints },
): Promise<T> {
  let answer: unknown
  try {
    answer = await api.get(path, asking)
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    // It was retried already.
    throw new UnreachableError(error.kind, `could not ${error.what}, ${error.problem}`, { hint: error.hint })
  }
  const parsed = schema.safeParse(answer)
  if (!parsed.success)
    throw new UnreachableError('malformed', `could not ${asking.what}, the answer of the API server is of another kind`)
  return parsed.data
}
