import { createHash, randomUUID } from 'node:crypto'

/** An upload in parts that is under way: nothing of it is seen until it is complete. */
type Upload = { readonly key: string; readonly parts: Map<number, Buffer> }

/** The uploads of one bucket. */
export type Uploads = {
  readonly begin: (key: string) => string
  /** The tag of the part; undefined where there is no such upload. */
  readonly add: (id: string, part: number, body: Buffer) => string | undefined
  /** The parts that a list in XML names, joined; undefined where there is no such upload, or a part is another one. Ends nothing. */
  readonly join: (id: string, list: string) => Buffer | undefined
  readonly end: (id: string) => boolean
  /** How many are under way. */
  readonly count: () => number
}

const PART = /<Part>(.*?)<\/Part>/gs

/** Keeps the parts of uploads, as S3 does. */
export function keepUploads(): Uploads {
  const uploads = new Map<string, Upload>()
  return {
    begin(key) {
      const id = randomUUID()
      uploads.set(id, { key, parts: new Map() })
      return id
    },
    add(id, part, body) {
      uploads.get(id)?.parts.set(part, body)
      return uploads.has(id) ? tagOf(body) : undefined
    },
    join(id, list) {
      const upload = uploads.get(id)
      const named = [...list.matchAll(PART)].map(([, part = '']) => ({
        number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
        tag: /<ETag>(?:"|&quot;)?([\da-f]+)/.exec(part)?.[1],
        sha256: /<ChecksumSHA256>([^<]+)</.exec(part)?.[1],
      }))
      const bodies = named.flatMap(({ number, tag, sha256 }) => {
        const body = upload?.parts.get(number)
        const isSame = body !== undefined && tagOf(body) === `"${tag}"` && sha256 === sha256Of(body)
        return isSame ? [body] : []
      })
      return upload === undefined || bodies.length === 0 || bodies.length < named.length
        ? undefined
        : Buffer.concat(bodies)
    },
    end: (id) => uploads.delete(id),
    count: () => uploads.size,
  }
}

function tagOf(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`
}

function sha256Of(body: Buffer): string {
  return createHash('sha256').update(body).digest('base64')
}

/** The bytes that a `Range` header names, and what is said of them; undefined where there is no such header. */
export function rangeOf(
  header: string | undefined,
  body: Buffer,
): { readonly body: Buffer; readonly contentRange: string } | undefined {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(header ?? '') ?? []
  if (from === undefined || to === undefined) return undefined
  const end = Math.min(Number(to), body.length - 1)
  return { body: body.subarray(Number(from), end + 1), contentRange: `bytes ${from}-${end}/${body.length}` }
}
