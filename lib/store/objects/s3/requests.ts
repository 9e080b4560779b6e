import { Readable } from 'node:stream'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import type { LinkRequest } from '../objects.ts'
import type { LockMode } from './address.ts'
import { UnexpectedAnswerError } from './listing.ts'
import type { ListPage, ListRequest } from './listing.ts'

/** Time limits of S3 requests. */
export type S3Limits = {
  /** Tries of one request in all; before each further one the SDK waits, longer each time, and longest if S3 throttles. */
  readonly attempts: number
  /** For one try: until the answer begins, including sending, and as long again for its body. */
  readonly attemptMs: number
  /** For one request with credentials, tries and waits. */
  readonly deadlineMs: number
}

/** An object as S3 answered. */
export type FoundObject = {
  readonly body: Uint8Array
  readonly etag: string
  readonly version: string | null
  /** The writer's own name for this write; undefined if it gave none. */
  readonly write: string | undefined
}

/** An object to write; `lock` and `write` (the writer's own name for it) are optional. */
export type PutRequest = {
  readonly bucket: string
  readonly key: string
  readonly body: Uint8Array
  /** Write only over the object with this tag; null: only if there is none. */
  readonly etag: string | null
  readonly lock?: { readonly mode: LockMode; readonly until: Date } | undefined
  readonly write?: string | undefined
}

/** The outcome of a write: done, or refused because its condition failed, with the number of tries. */
export type PutOutcome =
  | { readonly isWritten: true; readonly etag: string }
  | { readonly isWritten: false; readonly attempts: number }

/** A part of an object: bytes from `from` to `to`, both included, of one version, or of the object with one tag where no version is known. */
export type PartRequest = {
  readonly bucket: string
  readonly key: string
  readonly version: string | null
  readonly etag: string
  readonly from: number
  readonly to: number
}

/** The S3 requests that a store needs, those for large objects among them, and presigned URLs for one more. Each throws the SDK's error, or {@link UnexpectedAnswerError}. */
export type S3Calls = {
  readonly get: (bucket: string, key: string, version: string | null) => Promise<FoundObject | 'absent' | 'deleted'>
  readonly put: (request: PutRequest) => Promise<PutOutcome>
  /** What is told of an object without its bytes; undefined if it is absent or deleted. */
  readonly head: (
    bucket: string,
    key: string,
    version: string | null,
  ) => Promise<(Pick<FoundObject, 'etag' | 'version'> & { readonly size: number }) | undefined>
  readonly getPart: (request: PartRequest) => Promise<Uint8Array>
  /** Uploads a stream in parts, and creates the object once it has ended. False if there is an object. */
  readonly upload: (bucket: string, key: string, body: Readable) => Promise<boolean>
  readonly list: (bucket: string, request: ListRequest) => Promise<ListPage>
  readonly remove: (bucket: string, key: string) => Promise<void>
  /** Sends no request: anyone with the URL reads this version with the signer's permissions, from `now` on. */
  readonly link: (bucket: string, key: string, request: LinkRequest, now: Date) => Promise<string>
  /** The credentials that were sent, which must appear in no message; empty if none were found. */
  readonly secrets: () => Promise<readonly string[]>
}

/** A request that missed its deadline, tries and waits included. */
class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
}

/** Two concurrent writers. S3 wants a retry, and then says whose write counts (412). */
const RACES = new Set(['ConditionalRequestConflict', 'OperationAborted'])

const METADATA = 'ciphertrail-write'

/**
 * Calls S3 with the SDK's own chain of credentials, region and endpoint. Every try and every request has a timeout.
 *
 * @param isPathStyle the bucket is in the path and not in the host name, as servers other than Amazon's require
 */
export function openS3({ isPathStyle, limits }: { readonly isPathStyle: boolean; readonly limits: S3Limits }): S3Calls {
  const client = new S3Client({
    forcePathStyle: isPathStyle,
    maxAttempts: limits.attempts,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: Math.min(limits.attemptMs, 10_000),
      requestTimeout: limits.attemptMs,
      throwOnRequestTimeout: true,
    },
    // The SDK warns on standard error about the environment; failures are reported in our own line.
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  })

  // Within the retries, so that a truncated or endless body is requested again, like an answer that never begins.
  client.middlewareStack.add(
    (next) => async (request) => {
      const answer = await next(request)
      const { response } = answer
      if (hasBody(response))
        response.body = Readable.from([await readWhole(response.body, announcedBytes(response), limits.attemptMs)])
      return answer
    },
    { name: 'readWholeBody', step: 'deserialize', priority: 'low' },
  )
  client.middlewareStack.add(
    (next) => async (request) => {
      try {
        return await next(request)
      } catch (error) {
        if (error instanceof S3ServiceException && RACES.has(error.name)) error.$retryable = { throttling: false }
        throw error
      }
    },
    { name: 'retryRaces', step: 'deserialize', priority: 'high' },
  )

  return {
    async get(bucket, key, version) {
      const asked = { Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' as const }
      let answer
      try {
        answer = await within(limits.deadlineMs, (abortSignal) =>
          client.send(new GetObjectCommand(version === null ? asked : { ...asked, VersionId: version }), {
            abortSignal,
          }),
        )
      } catch (error) {
        if (!(error instanceof S3ServiceException) || !ABSENT.has(error.name)) throw error
        return error.$response?.headers['x-amz-delete-marker'] === 'true' ? 'deleted' : 'absent'
      }
      const { ETag: etag, VersionId, Metadata, Body } = answer
      if (etag === undefined || Body === undefined) throw new UnexpectedAnswerError('an object came without a tag')
      let body
      try {
        body = await bytesOf(Body)
      } catch (error) {
        // The bytes have arrived; only the comparison can still fail.
        throw new UnexpectedAnswerError('the bytes that came do not fit the checksum that is stored with them', {
          cause: error,
        })
      }
      return { body, etag, version: versionOf(VersionId), write: Metadata?.[METADATA] }
    },

    async put({ bucket, key, body, etag, lock, write }) {
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: body,
        ChecksumAlgorithm: 'SHA256',
        ...(etag === null ? { IfNoneMatch: '*' } : { IfMatch: etag }),
        ...(write === undefined ? {} : { Metadata: { [METADATA]: write } }),
        ...(lock === undefined
          ? {}
          : {
              ObjectLockMode: lock.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
              ObjectLockRetainUntilDate: lock.until,
            }),
      })
      try {
        const answer = await within(limits.deadlineMs, (abortSignal) => client.send(command, { abortSignal }))
        if (answer.ETag === undefined) throw new UnexpectedAnswerError('a write was confirmed without a tag')
        return { isWritten: true, etag: answer.ETag }
      } catch (error) {
        if (!(error instanceof S3ServiceException)) throw error
        const isRefused = error.name === 'PreconditionFailed' || (etag !== null && ABSENT.has(error.name))
        if (!isRefused) throw error
        return { isWritten: false, attempts: error.$metadata.attempts ?? 1 }
      }
    },

    async head(bucket, key, version) {
      const asked = { Bucket: bucket, Key: key, ...(version === null ? {} : { VersionId: version }) }
      try {
        const {
          ETag: etag,
          ContentLength: size,
          VersionId,
        } = await within(limits.deadlineMs, (abortSignal) => client.send(new HeadObjectCommand(asked), { abortSignal }))
        if (etag === undefined || size === undefined)
          throw new UnexpectedAnswerError('an object came without a tag or a size')
        return { etag, size, version: versionOf(VersionId) }
      } catch (error) {
        // An answer without a body names no error.
        if (error instanceof S3ServiceException && (ABSENT.has(error.name) || error.name === 'NotFound'))
          return undefined
        throw error
      }
    },

    async getPart({ bucket, key, version, etag, from, to }) {
      const which = version === null ? { IfMatch: etag } : { VersionId: version }
      const command = new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=${from}-${to}`, ...which })
      const { Body } = await within(limits.deadlineMs, (abortSignal) => client.send(command, { abortSignal }))
      const bytes = Body === undefined ? undefined : await bytesOf(Body)
      if (bytes?.length !== to - from + 1) throw new UnexpectedAnswerError('a part of an object came in another size')
      return bytes
    },

    async upload(bucket, key, body) {
      const { uploadStream } = await import('./upload.ts')
      return uploadStream(client, { bucket, key, body })
    },

    list(bucket, { prefix, startAfter, token }) {
      const asked = { Bucket: bucket, Prefix: prefix }
      const command = new ListObjectsV2Command(
        token === undefined
          ? { ...asked, ...(startAfter === '' ? {} : { StartAfter: startAfter }) }
          : { ...asked, ContinuationToken: token },
      )
      return within(limits.deadlineMs, (abortSignal) => client.send(command, { abortSignal }))
    },

    async remove(bucket, key) {
      const command = new DeleteObjectCommand({ Bucket: bucket, Key: key })
      try {
        await within(limits.deadlineMs, (abortSignal) => client.send(command, { abortSignal }))
      } catch (error) {
        // Amazon's S3 does not report it; others do.
        if (!(error instanceof S3ServiceException) || !ABSENT.has(error.name)) throw error
      }
    },

    async link(bucket, key, { version, method, seconds, type, disposition }, now) {
      const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
      const asked = {
        Bucket: bucket,
        Key: key,
        VersionId: version,
        ResponseContentType: type,
        ResponseContentDisposition: disposition,
        ResponseCacheControl: 'no-store',
      }
      const signed = { expiresIn: seconds, signingDate: now }
      return method === 'HEAD'
        ? getSignedUrl(client, new HeadObjectCommand(asked), signed)
        : getSignedUrl(client, new GetObjectCommand(asked), signed)
    },

    async secrets() {
      try {
        const { accessKeyId, secretAccessKey, sessionToken = '' } = await client.config.credentials()
        return [accessKeyId, secretAccessKey, sessionToken]
      } catch {
        return []
      }
    },
  }
}

const ABSENT = new Set(['NoSuchKey', 'NoSuchVersion'])

/** With versioning suspended, the S3 version is "null" and the next write replaces it: it does not identify bytes for ever. */
function versionOf(id: string | undefined): string | null {
  return id === undefined || id === 'null' ? null : id
}

function ignore(): void {
  // Nothing is logged.
}

type BodyAnswer = { body: Readable; readonly headers?: Readonly<Record<string, string>> }

function hasBody(response: unknown): response is BodyAnswer {
  return typeof response === 'object' && response !== null && 'body' in response && response.body instanceof Readable
}

/** Memory for a longer body is taken as it comes, whatever it announces: no piece of evidence and no part has so many bytes. */
const MOST_ANNOUNCED_BYTES = 64 * 1024 * 1024

/** How many bytes a body is said to have; 0 if that is not known, or too many to count on. */
function announcedBytes({ headers }: BodyAnswer): number {
  const bytes = Number(headers?.['content-length'] ?? 0)
  return Number.isSafeInteger(bytes) && bytes > 0 && bytes <= MOST_ANNOUNCED_BYTES ? bytes : 0
}

/**
 * All bytes of a body. A body that does not end in time fails like a timed-out try, which is retried. Each piece is copied to its place when it comes, so that
 * it is garbage at once, and the body is in memory one time.
 */
async function readWhole(body: Readable, announced: number, milliseconds: number): Promise<Buffer> {
  const timer = setTimeout(() => {
    body.destroy(Object.assign(new Error('The body did not end in time'), { name: 'TimeoutError' }))
  }, milliseconds)
  try {
    let whole = Buffer.alloc(0)
    let filled = 0
    const rest: Uint8Array[] = []
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      // Not before there are bytes: an answer to HEAD announces some, and has none.
      if (filled === 0 && rest.length === 0) whole = Buffer.allocUnsafeSlow(announced)
      if (rest.length === 0 && filled + chunk.length <= whole.length) {
        whole.set(chunk, filled)
        filled += chunk.length
      } else rest.push(chunk)
    }
    return filled === whole.length && rest.length === 0 ? whole : Buffer.concat([whole.subarray(0, filled), ...rest])
  } finally {
    clearTimeout(timer)
  }
}

/** The bytes of an answer's body, which was read whole before: the SDK would copy them. */
async function bytesOf(body: unknown): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body as AsyncIterable<Uint8Array>) chunks.push(chunk)
  const [first] = chunks
  const { buffer, byteOffset, length } = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
  return new Uint8Array(buffer, byteOffset, length)
}

/** Runs a request and ends it with {@link DeadlineError} at its deadline, even if it ignores the signal. */
async function within<T>(milliseconds: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const { promise: passed, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new DeadlineError(`No answer within ${milliseconds / 1000} s`))
    controller.abort()
  }, milliseconds)
  try {
    return await Promise.race([run(controller.signal), passed])
  } finally {
    clearTimeout(timer)
  }
}
