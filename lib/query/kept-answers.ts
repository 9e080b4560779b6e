/** Answers that are kept in memory, so that the same question of the same store is answered without reading and deriving it again. */
import { createHash } from 'node:crypto'
import { type Objects, isWrittenOnce } from '../store/objects/objects.ts'
import { statePrefix } from '../store/keys.ts'
import { type ApiAnswer, type TaggedAnswer, tagged } from './answer.ts'

/** How much is kept. */
type Limits = { readonly bytes: number; readonly bytesOfOne: number; readonly answers: number }

const LIMITS: Limits = { bytes: 64 * 1024 * 1024, bytesOfOne: 4 * 1024 * 1024, answers: 2000 }

/** What an answer needs beside its texts, about: its objects and their places in maps. */
const ANSWER_BYTES = 2048

/** The same of a thing that was read for it: a key or a listing. */
const READ_BYTES = 128

/** What an answer was made from, but for what never changes. */
type Reads = {
  /** By key; null where there was no object. */
  readonly tags: Map<string, string | null>
  /** What was listed, up to where the reader stopped. */
  readonly lists: Map<string, Listing>
  /** By id of a cluster: whether there was evidence of it, where the store remembers that. */
  readonly evidence: Map<string, boolean>
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
 * @param question all that decides the answer but the store and the time: also who asks
 * @param minute the time, as far as it decides; nothing of another one is kept, since nobody asks for it again
 */
export type AnswerOnce = (
  { question, minute }: { readonly question: string; readonly minute: number },
  make: (objects: Objects) => Promise<ApiAnswer>,
) => Promise<TaggedAnswer>

/** Keeps answers, those that were asked for last, up to about some bytes and some number. Nothing that fails is kept. */
export function keepAnswers(objects: Objects, limits: Limits = LIMITS): AnswerOnce {
  // In the order in which they were asked for.
  const kept = new Map<string, Kept>()
  const underWay = new Map<string, Promise<TaggedAnswer>>()
  let bytes = 0
  let present: number | null = null

  function forget(question: string): void {
    bytes -= kept.get(question)?.bytes ?? 0
    kept.delete(question)
  }

  function keep(question: string, answer: TaggedAnswer, reads: Reads): void {
    forget(question)
    const own = bytesOf(question, answer, reads)
    if (own > limits.bytesOfOne) return
    kept.set(question, { answer, reads, bytes: own })
    bytes += own
    for (const oldest of kept.keys()) {
      if (bytes <= limits.bytes && kept.size <= limits.answers) return
      forget(oldest)
    }
  }

  function begin(minute: number): void {
    if (minute === present) return
    present = minute
    kept.clear()
    bytes = 0
  }

  async function answer(
    { question, minute }: { readonly question: string; readonly minute: number },
    make: (objects: Objects) => Promise<ApiAnswer>,
  ): Promise<TaggedAnswer> {
    begin(minute)
    const known = kept.get(question)
    if (known !== undefined && (await isUnchanged(known.reads, objects))) {
      // Asked for last.
      if (kept.delete(question)) kept.set(question, known)
      return known.answer
    }
    const reads: Reads = { tags: new Map(), lists: new Map(), evidence: new Map() }
    const made = tagged(await make(recording(objects, reads)))
    if (minute === present) keep(question, made, reads)
    return made
  }

  return ({ question, minute }, make) => {
    const id = `${minute} ${question}`
    const begun = underWay.get(id)
    if (begun !== undefined) return begun
    const answering = answer({ question, minute }, make).finally(() => underWay.delete(id))
    underWay.set(id, answering)
    return answering
  }
}

/** How much memory an answer needs, about: with what it was made from, and the copy that is compressed once somebody takes it so. */
function bytesOf(question: string, { body }: TaggedAnswer, { tags, lists }: Reads): number {
  const own = Buffer.byteLength(body)
  const copy = typeof body === 'string' ? own / 2 : 0
  const texts = [...[...tags].flat(), ...[...lists].flatMap(([id, { digest }]) => [id, digest])]
  const read = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0)
  return ANSWER_BYTES + own + copy + question.length + read + READ_BYTES * (tags.size + lists.size)
}

/** What the state of a cluster names by its hash: while the state is the same, so is this. */
const NAMED_BY_STATE = ['windows/', 'timeline/', `${statePrefix}_archive/`]

/** The store, noting what is read of it. The tag is looked at first, so that a change between the two shows. */
function recording(objects: Objects, { tags, lists, evidence }: Reads): Objects {
  const { hasEvidence } = objects
  return {
    ...objects,
    ...(hasEvidence && {
      async hasEvidence(clusterId) {
        const isThere = await hasEvidence(clusterId)
        evidence.set(clusterId, isThere)
        return isThere
      },
    }),
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

async function isUnchanged({ tags, lists, evidence }: Reads, objects: Objects): Promise<boolean> {
  const checks = [
    ...[...tags].map(async ([key, tag]) => (await tagNow(key, objects)) === tag),
    ...[...lists.values()].map((listing) => isListed(listing, objects)),
    ...[...evidence].map(async ([id, isThere]) => (await objects.hasEvidence?.(id)) === isThere),
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
