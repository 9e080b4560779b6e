import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import type { Cluster } from '../model/registry.ts'
import { NoteError, type Signer, openNote, signNote, verifierOf } from '../seal/tlog/note.ts'
import { isClusterId, trustKey } from '../store/keys.ts'
import { parseJson } from '../text/parse-json.ts'
import { type Objects, PreconditionFailedError } from '../store/objects/objects.ts'
import { readChangedSince } from '../store/registry/registry.ts'
import { type Trust, checkConnection, connectionHash } from '../store/registry/trust.ts'

/** Number of concurrent writes before something else must be wrong. */
const MAX_ROUNDS = 25

const trustSchema = z.strictObject({
  format: z.literal('ciphertrail/trust/1'),
  /** Number of the latest registry change that the signer knew. */
  change: z.int().nonnegative(),
  /** Hash of each cluster's connection, by its id. */
  ways: z.record(z.string().refine(isClusterId), z.string().regex(/^[0-9a-f]{64}$/)),
  /** A signed note over both. */
  note: z.string(),
})

type Signed = { readonly change: number; readonly ways: ReadonlyMap<string, string> }

/** The store, and the key of its operators. */
export type NoteTrustDeps = {
  readonly objects: Objects
  /** The key that only operators may use. Opening clusters needs its public part only, and no signature. */
  readonly signer: () => Promise<Signer>
  /** The store's name, without the options of its address: a signature for one store is invalid in another. */
  readonly place: string
}

/**
 * Trust by a signature in the store: it needs a key that the service cannot use. An old signature that is put back does not hold for clusters that were changed
 * or removed since: their changes are written once, and rolling back the rest cannot remove them.
 */
export function noteTrust({ objects, signer, place }: NoteTrustDeps): Trust {
  const read = async (): Promise<{ readonly signed: Signed; readonly etag: string | null }> => {
    const stored = await objects.get(trustKey)
    if (stored === undefined) return { signed: NOTHING, etag: null }
    const parsed = trustSchema.safeParse(parseJson(stored.body))
    if (!parsed.success) return { signed: NOTHING, etag: stored.etag }
    const { change, ways, note } = parsed.data
    const signed = { change, ways: new Map(Object.entries(ways)) }
    const isSigned = isSignedBy((await signer()).vkey, note, textOf(signed, place))
    return { signed: isSigned ? signed : NOTHING, etag: stored.etag }
  }
  const change = async (changed: (ways: Signed['ways']) => Signed['ways']): Promise<void> => {
    for (let round = 1; ; round++) {
      const { signed: before, etag } = await read()
      // Before deciding what to sign: it does not cover a change that arrives meanwhile.
      const since = await readChangedSince(before.change, { objects })
      const kept = new Map([...before.ways].filter(([id]) => !since.ids.has(id)))
      const signed = { change: since.changes, ways: changed(kept) }
      const note = Buffer.from(await signNote(textOf(signed, place), await signer())).toString()
      const ways = Object.fromEntries(signed.ways)
      const text = canonicalize({ format: 'ciphertrail/trust/1', change: signed.change, ways, note }) ?? ''
      try {
        await objects.putIf(trustKey, Buffer.from(text), etag)
        return
      } catch (error) {
        if (!(error instanceof PreconditionFailedError) || round === MAX_ROUNDS) throw error
      }
    }
  }
  return {
    check: async (cluster: Cluster) => {
      const { signed } = await read()
      const vouched = signed.ways.get(cluster.id)
      const isStale = vouched !== undefined && (await readChangedSince(signed.change, { objects })).ids.has(cluster.id)
      checkConnection(cluster, isStale ? undefined : vouched, `"${trustKey}"`)
    },
    vouch: (clusters) =>
      change(
        (ways) => new Map([...ways, ...clusters.map((cluster) => [cluster.id, connectionHash(cluster)] as const)]),
      ),
    forget: (id) => change((ways) => new Map([...ways].filter(([known]) => known !== id))),
  }
}

const NOTHING: Signed = { change: 0, ways: new Map() }

/** The signed text, short enough for KMS however many clusters there are. */
function textOf({ change, ways }: Signed, place: string): string {
  return `ciphertrail trust\n${place}\n${change}\n${hash('sha256', canonicalize(Object.fromEntries(ways)) ?? '', 'hex')}\n`
}

function isSignedBy(vkey: string, note: string, text: string): boolean {
  try {
    return openNote(Buffer.from(note), [verifierOf(vkey)]).text === text
  } catch (error) {
    if (error instanceof NoteError) return false
    throw error
  }
}
