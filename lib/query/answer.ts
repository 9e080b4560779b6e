import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { toJson } from '../text/format-json.ts'
import type { ReadDocument } from '../store/evidence/report-records.ts'
import { type HandOverDeps, storeAddress, tooLargeAnswer, tooLargeDocument } from './large.ts'
import { acceptedType } from './accept.ts'
import { ProblemError, problemDocument, statusOf } from './problem.ts'

/** What a route answers, before HTTP adds its own. */
export type ApiAnswer = {
  /** Media type with its parameters. */
  readonly type: string
  readonly body: string | Uint8Array<ArrayBuffer>
  readonly headers?: Readonly<Record<string, string>>
  /** How many items of a list it holds, of which fewer could be asked for; absent where it is no list. */
  readonly items?: number
  /** Where the store has these very bytes; absent where they were made for the answer. */
  readonly stored?: Pick<ReadDocument, 'key' | 'version'>
}

/** An answer with the tag of its bytes. */
export type TaggedAnswer = ApiAnswer & { readonly etag: string }

/** Gives an answer the tag of its bytes. */
export function tagged(answer: ApiAnswer): TaggedAnswer {
  return { ...answer, etag: `"${createHash('sha256').update(answer.body).digest('base64url')}"` }
}

/** One object as JSON, safe to look at in a terminal. */
export function jsonAnswer(content: unknown): ApiAnswer {
  return { type: 'application/json', body: `${toJson(content)}\n` }
}

/** What every answer says to browsers: nothing of it is run, framed, guessed at or told to others. */
export const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

/** May be kept by whoever asked, and is asked for again each time: access may have ended, and the history grown. */
const PRIVATE = 'private, no-cache'

/** Less is not worth compressing. */
const MIN_COMPRESSED_BYTES = 1024

/** What was compressed once, for as long as the answer is kept. */
const compressed = new WeakMap<TaggedAnswer, Promise<Uint8Array<ArrayBuffer>>>()

/** Text that whoever asks takes as gzip is given so. */
function isCompressed({ type, body }: TaggedAnswer, request: Request): boolean {
  return (
    typeof body === 'string' &&
    /^(text\/|application\/json)/.test(type) &&
    body.length >= MIN_COMPRESSED_BYTES &&
    acceptedType(request.headers.get('accept-encoding') ?? 'identity', ['gzip', 'identity']) === 'gzip'
  )
}

async function gzipped(answer: TaggedAnswer): Promise<Uint8Array<ArrayBuffer>> {
  const known = compressed.get(answer)
  if (known !== undefined) return known
  const making = promisify(gzip)(answer.body).then((bytes) => new Uint8Array(bytes))
  compressed.set(answer, making)
  return making
}

/**
 * The response to a request that may be answered. It carries a tag of its bytes, and is 304 without them where the request brings that tag; the tag is weak where
 * they are compressed. A document that is too large for one answer is 303 to where the store gives it. Throws a `ProblemError` for anything else that is.
 */
export async function responseOf(answer: TaggedAnswer, request: Request, deps: HandOverDeps): Promise<Response> {
  const { type, body, etag: whole, headers = {} } = answer
  const isGzip = isCompressed(answer, request)
  const etag = isGzip ? `W/${whole}` : whole
  const common = {
    ...SECURITY_HEADERS,
    'cache-control': PRIVATE,
    vary: 'Accept, Accept-Encoding, Authorization',
    etag,
  }
  if (isKnown(request.headers.get('if-none-match'), whole))
    return new Response(null, { status: 304, headers: { ...common, ...headers } })
  const { largestBody = Infinity } = deps
  if (isGzip && Buffer.byteLength(body) <= largestBody)
    return new Response(await gzipped(answer), {
      headers: { ...common, ...headers, 'content-type': type, 'content-encoding': 'gzip' },
    })
  if (Buffer.byteLength(body) <= largestBody)
    return new Response(body, { headers: { ...common, ...headers, 'content-type': type } })
  const location = await addressOf(answer, request, { ...deps, largestBody })
  return new Response(null, { status: 303, headers: { ...common, 'cache-control': 'no-store', location } })
}

async function addressOf(
  { type, body, headers = {}, items, stored }: ApiAnswer,
  { method }: Request,
  deps: Required<HandOverDeps>,
): Promise<string> {
  const bytes = Buffer.byteLength(body)
  if (stored === undefined) throw tooLargeAnswer(bytes, items ?? null, deps.largestBody)
  const disposition = headers['content-disposition'] ?? 'attachment'
  const location = await storeAddress(stored, { method: method === 'HEAD' ? 'HEAD' : 'GET', type, disposition }, deps)
  if (location === null) throw tooLargeDocument(bytes, deps.largestBody)
  return location
}

/** The response to a request that went wrong. */
export function problemResponse(error: ProblemError, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${toJson(problemDocument(error))}\n`, {
    status: statusOf(error.kind),
    headers: {
      ...SECURITY_HEADERS,
      'cache-control': 'no-store',
      'content-type': 'application/problem+json',
      ...(error.kind === 'not-authenticated' ? { 'www-authenticate': 'Bearer' } : {}),
      ...headers,
    },
  })
}

/** The response to a method that a place does not take. */
export function methodProblem(allow = 'GET, HEAD'): Response {
  return problemResponse(
    new ProblemError('method-not-allowed', `Method not allowed: use ${allow.replace(/, (\w+)$/, ' or $1')}`),
    { allow },
  )
}

/** The response that says how the service is: for anybody, and never kept. */
export function healthResponse(isHealthy: boolean, version: string): Response {
  return new Response(`${toJson({ status: isHealthy ? 'ok' : 'degraded', version })}\n`, {
    status: isHealthy ? 200 : 503,
    headers: { ...SECURITY_HEADERS, 'cache-control': 'no-store', 'content-type': 'application/json' },
  })
}

/** Compared weakly, as RFC 9110 has it for reading. */
function isKnown(header: string | null, etag: string): boolean {
  if (header === null) return false
  return header.split(',').some((one) => ['*', etag].includes(one.trim().replace(/^W\//, '')))
}
