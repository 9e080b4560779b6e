/** The stored alert state of a channel: replaced by compare-and-swap, so that one of two concurrent runs decides. */
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { parseJson } from '../../text/parse-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'
import { ENDINGS } from './endings.ts'
import { type AlertState, NO_ALERTS } from './due-alerts.ts'
import type { Channel } from '../channel/channel.ts'
import { alertsKey } from '../../store/delivery-keys.ts'
import { CONDITION_KINDS } from './condition-kinds.ts'

const condition = z.object({
  key: z.string(),
  kind: z.enum(CONDITION_KINDS),
  cluster: z.string().nullable(),
  since: z.iso.datetime(),
  line: z.string(),
})

const told = condition.extend({ details: z.array(z.string()) })

const stateSchema = z.object({
  format: z.literal('ciphertrail/alerts/2'),
  addedAt: z.iso.datetime(),
  sequence: z.int().nonnegative(),
  watched: z.array(
    condition.extend({
      episode: z.string().nullable(),
      waiver: z.string().nullable(),
      isActive: z.boolean(),
      isTold: z.boolean(),
      toldAt: z.iso.datetime().nullable(),
    }),
  ),
  notices: z.array(
    z.object({
      id: z.string(),
      at: z.iso.datetime(),
      began: z.array(told),
      ended: z.array(told.extend({ ending: z.enum(ENDINGS) })),
      to: z.array(z.string()),
    }),
  ),
})

/** The stored state of a channel's alerts; `etag` is null if there is none. */
export type KeptAlerts = { readonly state: AlertState; readonly etag: string | null }

/**
 * Reads the alert state of a channel; empty if there is none. A damaged state counts as none, and so does that of a removed channel of the same name: open
 * conditions are then reported again rather than not at all.
 */
export async function readAlerts({ id, addedAt }: Channel, objects: Objects): Promise<KeptAlerts> {
  const stored = await objects.get(alertsKey(id))
  if (stored === undefined) return { state: NO_ALERTS, etag: null }
  const parsed = stateSchema.safeParse(parseJson(stored.body))
  if (!parsed.success || parsed.data.addedAt !== addedAt) return { state: NO_ALERTS, etag: stored.etag }
  const { sequence, watched, notices } = parsed.data
  return { state: { sequence, watched, notices }, etag: stored.etag }
}

/** Stores the new state. False if a concurrent run decided meanwhile: then nothing of ours is sent. */
export async function keepAlerts(
  { id, addedAt }: Channel,
  state: AlertState,
  etag: string | null,
  objects: Objects,
): Promise<boolean> {
  const body = Buffer.from(canonicalize({ format: 'ciphertrail/alerts/2', addedAt, ...state }) ?? '')
  return (await swap(alertsKey(id), body, etag, objects)) !== null
}
