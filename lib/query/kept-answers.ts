/** Answers that are kept in memory, so that the same question of the same store is answered without reading and deriving it again. */
import { createHash } from 'node:crypto'
import { type Objects, isWrittenOnce } from '../store/objects/objects.ts'
import { statePrefix } from '../store/keys.ts'
import { type ApiAnswer, type TaggedAnswer, tagged } from './answer.ts'

/** How much is kept. */
type Limits = { readonly bytes: number; readonly bytesOfOne: number }

const LIMITS: Limits = { bytes: 64 * 1024 * 1024, bytesOfOne: 4 * 1024 * 1024 }

/** What an answer was made from, but for what never changes. */
type Reads = {
  /** By key; null where there was no object. */
  readonly tags: Map<string, string | null>
  /** What was listed, up to where the reader stopped. */
  readonly lists: Map<string, Listing>
}

type Listing = {
  readonly prefix: string
  readonly startAfter: string | undefined
  /** How many keys were read, a digest of them, and whether there were no more. */
  readonly count: number
  readonly digest: string
  readonly isWhole: boolean
}

type Kept = { readonly answer: TaggedAnswer; readonly reads: Reads; readonly bytes: number }

/**
 * Answers a question: with what is kept, if nothing changed of what it was made from, else by `make`, which must read the store through what it is given.
 * Questions that are asked at the same time are answered once.
 *
 * @param question all that decides the answer but the store: also who asks, and the time, as far as it decides
 */
export type AnswerOnce = (question: string, make: (objects: Objects) => Promise<ApiAnswer>) => Promise<TaggedAnswer>

/** Keeps answers, those that were asked for last, up to some bytes. Nothing that fails is kept. */
export function keepAnswers(objects: Objects, limits: Limits = LIMITS): AnswerOnce {
  // In the order in which they were asked for.
  const kept = new Map<string, Kept>()
  const underWay = new Map<string, Promise<TaggedAnswer>>()
  let bytes = 0

  function forget(question: string): void {
    bytes -= kept.get(question)?.bytes ?? 0
    kept.delete(question)
  }

  function keep(question: string, answer: TaggedAnswer, reads: Reads): void {
    forget(question)
    const own = Buffer.byteLength(answer.body) + question.length
    if (own > limits.bytesOfOne) return
    kept.set(question, { answer, reads, bytes: own })
    bytes += own
    for (const oldest of kept.keys()) {
      if (bytes <= limits.bytes) return
      forget(oldest)
    }
  }

  async function answer(question: string, make: (objects: Objects) => Promise<ApiAnswer>): Promise<TaggedAnswer> {
    const known = kept.get(question)
    if (known !== undefined && (await isUnchanged(known.reads, objects))) {
      // Asked for last.
      if (kept.delete(question)) kept.set(question, known)
      return known.answer
    }
    const reads: Reads = { tags: new Map(), lists: new Map() }
    const made = tagged(await make(recording(objects, reads)))
    keep(question, made, reads)
    return made
  }

  return (question, make) => {
    const begun = underWay.get(question)
    if (begun !== undefined) return begun
    const answering = answer(question, make).finally(() => underWay.delete(question))
    underWay.set(question, answering)
    return answering
  }
}

/** What the state of a cluster names by its hash: while the state is the same, so is this. */
const NAMED_BY_STATE = ['windows/', 'timeline/', `${statePrefix}_archive/`]

/** The store, noting what is read of it. The tag is looked at first, so that a change between the two shows. */
function recording(objects: Objects, { tags, lists }: Reads): Objects {
  return {
    ...objects,
    async get(key, version) {
      const isNoted = tags.has(key) || NAMED_BY_STATE.some((prefix) => key.startsWith(prefix))
      const tag = isNoted || objects.tag === undefined ? undefined : await objects.tag(key)
      const stored = await objects.get(key, version)
      const isLasting = stored !== undefined && isWrittenOnce(key)
      if (!isNoted && !isLasting && !tags.has(key)) tags.set(key, tag === undefined ? (stored?.etag ?? null) : tag)
      return stored
    },
    async *list(prefix, startAfter) {
      const digest = createHash('sha256')
      let count = 0
      let isWhole = false
      try {
        for await (const key of objects.list(prefix, startAfter)) {
          count += 1
          digest.update(`${key}\n`)
          yield key
        }
        isWhole = true
      } finally {
        const id = JSON.stringify([prefix, startAfter, count, isWhole])
        if (!lists.has(id)) lists.set(id, { prefix, startAfter, count, digest: digest.digest('hex'), isWhole })
      }
    },
  }
}

async function isUnchanged({ tags, lists }: Reads, objects: Objects): Promise<boolean> {
  const checks = [
    ...[...tags].map(async ([key, tag]) => (await tagNow(key, objects)) === tag),
    ...[...lists.values()].map((listing) => isListed(listing, objects)),
  ]
  return (await Promise.all(checks)).every(Boolean)
}

async function tagNow(key: string, objects: Objects): Promise<string | null> {
  return objects.tag === undefined ? ((await objects.get(key))?.etag ?? null) : objects.tag(key)
}

async function isListed(listing: Listing, objects: Objects): Promise<boolean> {
  const { prefix, startAfter, isWhole } = listing
  const digest = createHash('sha256')
  let count = 0
  for await (const key of objects.list(prefix, startAfter)) {
    if (count === listing.count) return !isWhole && digest.digest('hex') === listing.digest
    count += 1
    digest.update(`${key}\n`)
  }
  return count === listing.count && digest.digest('hex') === listing.digest
}
