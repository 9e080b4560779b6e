import type { Cluster } from '../../model/registry.ts'
import {
  TapFormatError,
  decodeTapError,
  decodeTapEvent,
  encodeTapRequest,
  tapFrames,
} from '../../observed/tap-events.ts'
import type { TapEvent, TapReading, TapTarget } from '../../observed/tap-events.ts'
import { oneLine } from '../../text/redact.ts'
import type { KubernetesApi } from '../cluster/apis.ts'
import { SourceError } from '../../net/errors.ts'
import type { FailureKind, Hints } from '../../net/errors.ts'

/** Kinds that can be tapped, as the tap API names them in the singular. */
export const TAP_KINDS = [
  'namespace',
  'pod',
  'deployment',
  'statefulset',
  'daemonset',
  'replicaset',
  'replicationcontroller',
  'job',
  'cronjob',
] as const

const API = '/apis/tap.linkerd.io/v1alpha1'

/** The header with which the tap API marks an error, though its status is 200. */
const ERROR_HEADER = 'linkerd-error'

/** Duration of a tap, and what is read from it. */
export type TapOptions = TapReading & {
  /** Duration in milliseconds. */
  readonly forMs: number
  /** Most bytes of events; absent: the limit of any answer. */
  readonly maxBytes?: number
}

/**
 * Streams the HTTP requests of a workload through the tap API of Linkerd's viz extension, for some time, as they arrive. Never requests headers. Ends early if
 * the server does.
 *
 * @throws SourceError, after the earlier events, if the answer does not end well
 */
export async function* tapEvents(
  api: KubernetesApi,
  cluster: Pick<Cluster, 'id' | 'vizNamespace'>,
  target: TapTarget,
  { forMs, withPaths, maxBytes = Infinity }: TapOptions,
): AsyncGenerator<TapEvent> {
  const { kind, namespace, name } = target
  const place = kind === 'namespace' ? '' : ` in namespace "${oneLine(namespace)}"`
  const what = `tap ${kind} "${oneLine(name)}"${place} of cluster "${cluster.id}"`
  const hints = tapHints(target, cluster)
  await checkExtension(api, what, hints)
  const answer = await api.stream(tapPath(target), encodeTapRequest(target), forMs, { what, hints })
  if (answer === null) return
  try {
    const failure = answer.header(ERROR_HEADER)
    let size = 0
    for await (const frame of tapFrames(answer.bytes)) {
      if (failure !== '') throw said(decodeTapError(frame), failure, what)
      size += frame.length
      if (size > maxBytes)
        throw new SourceError(
          { source: 'kubernetes', what },
          'too-large',
          `more than ${maxBytes / 1e6} MB of events came`,
        )
      yield readEvent(frame, withPaths, what)
    }
    if (failure !== '') throw said('', failure, what)
  } catch (error) {
    // The API server has answered, so it is available: a crash of the tap API behind it looks the same.
    if (error instanceof SourceError && error.kind === 'connection')
      throw new SourceError({ source: 'kubernetes', what }, error.kind, error.problem, { hint: hints.server })
    if (!(error instanceof TapFormatError)) throw error
    throw new SourceError(
      { source: 'kubernetes', what },
      'malformed',
      `the answer of the tap API cannot be read: ${error.message}`,
      { hint: hints.malformed },
    )
  }
}

/** An absent server's silence must not look like a workload without requests. */
async function checkExtension(api: KubernetesApi, what: string, hints: Hints): Promise<void> {
  try {
    await api.get(API, { what, hints })
  } catch (error) {
    // Tapping may be permitted even if this read is not.
    if (!(error instanceof SourceError && error.kind === 'forbidden')) throw error
  }
}

function tapPath({ kind, namespace, name }: TapTarget): string {
  const parts = kind === 'namespace' ? [name] : [namespace, `${kind}s`, name]
  return `${API}/watch/namespaces/${parts.map(encodeURIComponent).join('/')}/tap`
}

function tapHints({ kind, namespace, name }: TapTarget, { vizNamespace }: Pick<Cluster, 'vizNamespace'>): Hints {
  const where = kind === 'namespace' ? name : namespace
  return {
    forbidden: `grant "watch" on "${kind}s/tap" in the API group "tap.linkerd.io" in the namespace "${oneLine(where)}"`,
    'not-found': `the cluster has no tap API, which comes with Linkerd's viz extension ("linkerd viz install")`,
    server: `is the pod of the Deployment tap in the namespace "${oneLine(vizNamespace)}" running?`,
    malformed: 'is there a proxy or login page in between?',
    'too-large': 'ask for less with --max-rps, or for a shorter time with --for',
  }
}

/** An error of the tap API itself, quoted. */
function said(text: string, header: string, what: string): SourceError {
  const kind: FailureKind = header === 'not found' ? 'not-found' : header === 'bad request' ? 'rejected' : 'server'
  const problem = text === '' ? `the tap API says "${oneLine(header)}"` : oneLine(text)
  return new SourceError({ source: 'kubernetes', what }, kind, problem)
}

/** Parses an event; throws an error that comes in its place. */
function readEvent(frame: Uint8Array, withPaths: boolean, what: string): TapEvent {
  let event: TapEvent
  try {
    event = decodeTapEvent(frame, { withPaths })
    if (event.http !== null || event.proxy !== 'unknown') return event
  } catch (error) {
    const text = errorText(frame)
    if (text === null) throw error
    throw said(text, '', what)
  }
  const text = errorText(frame)
  if (text !== null) throw said(text, '', what)
  return event
}

function errorText(frame: Uint8Array): string | null {
  try {
    const text = decodeTapError(frame)
    return text === '' || /\p{C}/u.test(text.replaceAll(/[\n\t]/g, ' ')) ? null : text
  } catch {
    return null
  }
}
