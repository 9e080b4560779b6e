import canonicalize from 'canonicalize'
import * as z from 'zod'
import type { FlowReason, FlowTls, FlowVerdict, ReadFlow } from '../../assess/packets/flow-verdict.ts'
import type { CapturePlace } from '../../collect/packets/pod-capture.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import { parseJson } from '../../text/parse-json.ts'
import { packetsKey, packetsOf, parsePacketsKey } from '../keys.ts'
import { type Objects, UnusableError } from '../objects/objects.ts'
import { EvidenceError } from './evidence.ts'
import { sha256Of } from '../objects/derived-object.ts'

const FORMAT = 'ciphertrail/packets/1'

/** Further flows of one capture are only counted. */
const MAX_FLOWS = 20_000

/** A captured connection, as stored: without payload. */
export type CapturedFlow = Pick<
  ReadFlow,
  'protocol' | 'client' | 'server' | 'isDirectionSeen' | 'isLoopback' | 'packets'
> & {
  readonly from: string
  readonly to: string
  readonly bytes: { readonly client: number; readonly server: number }
  readonly verdict: FlowVerdict
  readonly reason: FlowReason
  readonly tls: FlowTls | null
}

/** The result of a capture, with its time and place. */
export type Capture = {
  readonly cluster: string
  /** By our clock; the flows use the node's. */
  readonly from: string
  readonly to: string
  /** The requested duration. */
  readonly seconds: number
  /** Only this port was captured; null: all. */
  readonly port: number | null
  readonly place: CapturePlace
  readonly collector: { readonly name: string; readonly version: string }
  /** Why the capture did not complete; null if it did. */
  readonly problem: string | null
  readonly packets: number
  /** Number of flows that are not kept. */
  readonly omitted: number
  readonly flows: readonly CapturedFlow[]
}

/** The stored part of flows. */
export function capturedFlows(flows: readonly ReadFlow[]): Pick<Capture, 'flows' | 'omitted'> {
  const kept = flows
    .slice(0, MAX_FLOWS)
    .map(
      ({
        protocol,
        client,
        server,
        isDirectionSeen,
        isLoopback,
        packets,
        from,
        to,
        sent,
        verdict,
        reason,
        tls,
      }): CapturedFlow => ({
        protocol,
        client,
        server,
        isDirectionSeen,
        isLoopback,
        packets,
        from: toTime(from),
        to: toTime(to),
        bytes: { client: sent.client.bytes, server: sent.server.bytes },
        verdict,
        reason,
        tls,
      }),
    )
  return { flows: kept, omitted: flows.length - kept.length }
}

/** Stores a capture as evidence, and returns its key. Written once; the next seal makes it a leaf. */
export async function writeCapture(capture: Capture, objects: Objects): Promise<string> {
  const body = Buffer.from(canonicalize({ format: FORMAT, ...capture }) ?? '')
  const key = packetsKey(capture.cluster, capture.from, sha256Of(body))
  await objects.putOnce(key, body)
  return key
}

const end = z.object({ address: z.string(), port: z.int() })

/** The fields of a stored capture that code relies on; the rest is only shown. */
const captureSchema = z.object({
  format: z.literal(FORMAT),
  cluster: z.string(),
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  flows: z.array(
    z.object({
      protocol: z.enum(['tcp', 'udp']),
      client: end,
      server: end,
      isDirectionSeen: z.boolean(),
      isLoopback: z.boolean(),
      from: z.iso.datetime(),
      to: z.iso.datetime(),
      verdict: z.enum(['clear', 'unknown', 'tls', 'no-payload']),
      reason: z.string(),
    }),
  ),
})

/** A stored capture, as read. */
export type KeptCapture = z.infer<typeof captureSchema>

/** Captures take at most ten minutes, so one that began earlier has ended. */
const MAX_SECONDS = 3_600

/**
 * The captures of a cluster that may hold packets of a period `(from, to]`, oldest first. Throws {@link EvidenceError} for an unreadable one: it might
 * contradict the proxies.
 */
export async function readCaptures(
  cluster: string,
  { from, to }: { readonly from: string; readonly to: string },
  objects: Objects,
): Promise<KeptCapture[]> {
  const captures: KeptCapture[] = []
  const earliest = toTime(toSeconds(from) - MAX_SECONDS)
  for await (const key of objects.list(packetsOf(cluster))) {
    const id = parsePacketsKey(key)
    if (id === undefined || id.from < earliest || id.from > to) continue
    const stored = await objects.get(key).catch((error: unknown) => {
      throw error instanceof UnusableError ? new EvidenceError(key, error.state, { cause: error }) : error
    })
    const parsed = captureSchema.safeParse(stored === undefined ? undefined : parseJson(stored.body))
    if (!parsed.success || parsed.data.cluster !== cluster)
      throw new EvidenceError(key, `it is no capture of cluster "${cluster}", find out who wrote it`)
    captures.push(parsed.data)
  }
  return captures
}
