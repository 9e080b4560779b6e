import * as z from 'zod'
import { oneLine } from '../text/redact.ts'
import { jsonSize } from './budget.ts'

/** An edge as `linkerd viz edges` shows it: connections open at one scrape, seen from the client's side. */
export type VizEdge = {
  /** Kind of both ends; null if the answer does not contain it. */
  readonly kind: string | null
  readonly src: string
  readonly src_namespace: string
  readonly dst: string
  readonly dst_namespace: string
  /** viz reads the identities from the pod's spec, not from the wire. */
  readonly client_id: string
  readonly server_id: string
  /** As text. Empty is shown as a tick, and only means that no reason is known. */
  readonly no_tls_reason: string
}

/** Text that is not a list of edges, or viz's own error. The message is one line and continues "Cannot ...: ". */
export class VizEdgesError extends Error {
  override readonly name = 'VizEdgesError'
}

const text = z.string().default('')

const ofCommand = z.array(
  z.object({
    src: z.string(),
    src_namespace: text,
    dst: z.string(),
    dst_namespace: text,
    client_id: text,
    server_id: text,
    no_tls_reason: z.string(),
  }),
)

const resource = z.object({ namespace: z.string(), type: z.string(), name: z.string() })

const ofDashboard = z.object({
  ok: z.object({
    edges: z.array(
      z.object({ src: resource, dst: resource, clientId: text, serverId: text, noIdentityMsg: z.string() }),
    ),
  }),
})

const failed = z.object({ error: z.union([z.string(), z.object({ error: z.string() })]) })

/**
 * Parses the JSON of `linkerd viz edges -o json`, or of the dashboard's `/api/edges`, which has full identities. Keeps the order.
 *
 * @throws VizEdgesError
 */
export function parseVizEdges(json: string): VizEdge[] {
  const { excess } = jsonSize(json)
  if (excess !== null) throw new VizEdgesError(`it has ${excess}`)
  let answer: unknown
  try {
    answer = JSON.parse(json)
  } catch (error) {
    throw new VizEdgesError('it is no JSON', { cause: error })
  }
  const list = ofCommand.safeParse(answer)
  if (list.success) return list.data.map((edge) => ({ kind: null, ...edge }))
  const error = failed.safeParse(answer)
  if (error.success) {
    const said = typeof error.data.error === 'string' ? error.data.error : error.data.error.error
    throw new VizEdgesError(`viz says "${oneLine(said)}"`)
  }
  const page = ofDashboard.safeParse(answer)
  if (!page.success)
    throw new VizEdgesError('it holds no edges, wanted the JSON of linkerd viz edges -o json or of /api/edges')
  return page.data.ok.edges.map(({ src, dst, clientId, serverId, noIdentityMsg }) => ({
    kind: src.type === dst.type ? src.type : null,
    src: src.name,
    src_namespace: src.namespace,
    dst: dst.name,
    dst_namespace: dst.namespace,
    client_id: clientId,
    server_id: serverId,
    no_tls_reason: noIdentityMsg,
  }))
}
