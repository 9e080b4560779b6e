import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type Policy, lockOf } from '../aws/iam-policy.ts'
import { presignedProblem } from './signature.ts'
import { keepUploads, rangeOf, type Uploads } from './s3-multipart.ts'
import { sendAnswer } from './s3-misbehave.ts'
import type { Answer, S3Misbehaviour } from './s3-misbehave.ts'

/** One version of an object; a deletion is a version without a body. */
export type ObjectVersion = {
  readonly id: string
  readonly body: Buffer | null
  readonly etag: string
  readonly sha256: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly lock: { readonly mode: string; readonly until: string } | undefined
}

/** What was asked, as S3's permissions name it, and how it was answered. */
export type S3Request = {
  readonly action:
    | 's3:GetObject'
    | 's3:GetObjectVersion'
    | 's3:PutObject'
    | 's3:ListBucket'
    | 's3:DeleteObject'
    | 's3:AbortMultipartUpload'
  /** Of an upload in parts, which step it is. */
  readonly step?: 'begin' | 'part' | 'complete' | undefined
  readonly bucket: string
  /** Of a list: its prefix. */
  readonly key: string
  readonly headers: IncomingMessage['headers']
  /** 0 where there was no answer. */
  status: number
}

export type S3Server = {
  readonly url: string
  /** By bucket and key, oldest version first. */
  readonly buckets: ReadonlyMap<string, ReadonlyMap<string, readonly ObjectVersion[]>>
  /** All requests since the last call of `forget`, in the order in which they came. */
  readonly requests: readonly S3Request[]
  readonly forget: () => void
  /** How many uploads in parts are under way in a bucket: what they hold costs, and nobody sees it. */
  readonly unfinished: (bucket: string) => number
  readonly makeBucket: (name: string, options?: BucketOptions) => void
  /** What somebody else with rights to the bucket may do, past the store: write over an object, or delete it (null). */
  readonly meddle: (bucket: string, key: string, body: Buffer | null) => void
  /** Who may do what, by action and ARN, until it is told otherwise; at first everybody everything. */
  readonly permit: (allows: Policy['allows']) => void
  /** Decides for each request; undefined: it is answered well. */
  readonly misbehave: (decide: (request: S3Request) => S3Misbehaviour | undefined) => void
  /** What time it is there, by which addresses that were signed for a while expire; at first the clock of this machine. */
  readonly setNow: (now: Date) => void
  /** What the variables of the SDK must say to reach it. */
  readonly env: Readonly<Record<string, string>>
  readonly close: () => Promise<void>
}

export type BucketOptions = {
  /** `suspended`: it kept them once, and now each write replaces the version that is named "null". */
  readonly hasVersions?: boolean | 'suspended'
  readonly hasLock?: boolean
  /** Keys of one page of a list. */
  readonly pageSize?: number
}

/** The credentials that the server knows; the secret must be found in nothing that a command writes. */
export const S3_ACCESS_KEY = 'AKIAEXAMPLEEXAMPLE12'
export const S3_SECRET_KEY = 'do-not-print-this-secret/key+of+s3'

const REGION = 'eu-central-1'

type Bucket = {
  readonly options: Required<BucketOptions>
  readonly objects: Map<string, ObjectVersion[]>
  readonly uploads: Uploads
}

/** An error as S3 tells it. */
class S3Refusal extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message = code) {
    super(message)
    this.status = status
    this.code = code
  }
}

/**
 * A server that speaks as much of S3 as a store needs, with paths that begin with the bucket: put with conditions, checksums and locks, get,
 * list (version 2), delete with delete markers. As S3 it decides between two writers; whatever is decided and done, is within one turn.
 */
export async function startS3Server(): Promise<S3Server> {
  const buckets = new Map<string, Bucket>()
  const requests: S3Request[] = []
  let decide: (request: S3Request) => S3Misbehaviour | undefined = () => undefined
  let allows: Policy['allows'] = () => true
  let clock = (): Date => new Date()

  async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '', 'http://s3')
    const [, bucketName = '', ...rest] = url.pathname.split('/').map(decodeURIComponent)
    const isList = url.searchParams.has('list-type')
    const key = isList ? (url.searchParams.get('prefix') ?? '') : rest.join('/')
    const request: S3Request = {
      ...callOf(message.method, url.searchParams),
      bucket: bucketName,
      key,
      headers: message.headers,
      status: 0,
    }
    requests.push(request)
    const how = decide(request)
    // Where a body was announced and not read, the next request could not be told from it.
    const body = await buffer(message)
    if (how === 'reset') return void response.destroy()
    if (how === 'hang') return
    let sent: Answer
    try {
      if (typeof how === 'object') throw new S3Refusal(how.status, how.code, how.message)
      checkAuthorization(message, clock())
      const bucket = buckets.get(bucketName)
      if (bucket === undefined) throw new S3Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist')
      checkPermission(request, bucket, { allows, now: clock() })
      sent = perform(request, bucket, url.searchParams, body)
    } catch (error) {
      if (!(error instanceof S3Refusal)) throw error
      sent = refusal(error)
      if (typeof how === 'object') Object.assign(sent.headers, how.headers)
    }
    if (how === 'lose-answer') return void response.destroy()
    request.status = sent.status
    sendAnswer(sent, how, response)
  }

  const server = createServer((message, response) => {
    answer(message, response).catch((error: unknown) => {
      // A client that went away in the middle is no failure of the server.
      if (!message.destroyed || message.complete) response.destroy(error instanceof Error ? error : undefined)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    get buckets() {
      return new Map([...buckets].map(([name, { objects }]) => [name, objects]))
    },
    requests,
    forget: () => {
      requests.length = 0
    },
    unfinished: (name) => buckets.get(name)?.uploads.count() ?? 0,
    makeBucket: (name, { hasVersions = true, hasLock = true, pageSize = 1000 } = {}) => {
      buckets.set(name, {
        options: { hasVersions, hasLock, pageSize },
        objects: new Map(),
        uploads: keepUploads(),
      })
    },
    meddle: (name, key, body) => {
      const bucket = buckets.get(name)
      if (bucket === undefined) throw new Error(`Cannot meddle with bucket "${name}": there is none`)
      const request = { action: 's3:PutObject', bucket: name, key, headers: {}, status: 0 } as const
      if (body === null) remove({ ...request, action: 's3:DeleteObject' }, bucket, null)
      else put(request, bucket, body)
    },
    permit: (how) => {
      allows = how
    },
    misbehave: (how) => {
      decide = how
    },
    setNow: (now) => {
      clock = () => now
    },
    env: {
      AWS_ENDPOINT_URL_S3: url,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: S3_ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: S3_SECRET_KEY,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function callOf(method: string | undefined, query: URLSearchParams): Pick<S3Request, 'action' | 'step'> {
  if (query.has('list-type')) return { action: 's3:ListBucket' }
  if (method === 'POST') return { action: 's3:PutObject', step: query.has('uploads') ? 'begin' : 'complete' }
  if (method === 'PUT') return { action: 's3:PutObject', step: query.has('uploadId') ? 'part' : undefined }
  if (method === 'DELETE') return { action: query.has('uploadId') ? 's3:AbortMultipartUpload' : 's3:DeleteObject' }
  return { action: query.has('versionId') ? 's3:GetObjectVersion' : 's3:GetObject' }
}

function checkAuthorization({ method = '', url = '', headers }: IncomingMessage, now: Date): void {
  if (url.includes('X-Amz-Signature=')) return checkPresigned({ method, url, headers }, now)
  const [, accessKey, region] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/([^/]+)\/s3\/aws4_request, SignedHeaders=[^,]+, Signature=[\da-f]{64}$/.exec(
      headers.authorization ?? '',
    ) ?? []
  if (accessKey === undefined) throw new S3Refusal(403, 'AccessDenied', 'Access Denied')
  if (accessKey !== S3_ACCESS_KEY)
    throw new S3Refusal(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.')
  if (headers['x-amz-security-token'] === 'expired')
    throw new S3Refusal(400, 'ExpiredToken', 'The provided token has expired.')
  if (region !== REGION)
    throw new S3Refusal(
      400,
      'AuthorizationHeaderMalformed',
      `The authorization header is malformed; the region '${region}' is wrong; expecting '${REGION}'`,
    )
}

/** An address that somebody else signed. It wants nobody to say who they are besides. */
function checkPresigned(request: Parameters<typeof presignedProblem>[0], now: Date): void {
  if (request.headers.authorization !== undefined)
    throw new S3Refusal(400, 'InvalidArgument', 'Only one auth mechanism allowed')
  const signer = { accessKeyId: S3_ACCESS_KEY, secretAccessKey: S3_SECRET_KEY, region: REGION, service: 's3' }
  const problem = presignedProblem(request, signer, now)
  if (problem !== null) throw new S3Refusal(403, 'AccessDenied', problem)
}

/** Judges as S3 does: also a condition and a lock need permissions, and what is absent is told only to those who may list. */
function checkPermission(
  { action, step, bucket: name, key, headers }: S3Request,
  { objects }: Bucket,
  { allows, now }: { readonly allows: Policy['allows']; readonly now: Date },
): void {
  const bucket = `arn:aws:s3:::${name}`
  const object = `${bucket}/${key}`
  const isAbsent = currentBody(objects.get(key)) === null
  const needed: (readonly [action: string, resource: string])[] = [
    [action, action === 's3:ListBucket' ? bucket : object],
    ...(action === 's3:GetObject' && isAbsent ? [['s3:ListBucket', bucket] as const] : []),
    ...(headers['if-match'] === undefined ? [] : [['s3:GetObject', object] as const]),
    ...(headers['x-amz-object-lock-mode'] === undefined ? [] : [['s3:PutObjectRetention', object] as const]),
  ]
  const lacking = needed.find(
    ([one, resource]) =>
      !allows(one, resource, {
        prefix: action === 's3:ListBucket' ? key : undefined,
        ifNoneMatch: one === 's3:PutObject' ? headers['if-none-match'] : undefined,
        ifMatch: one === 's3:PutObject' ? headers['if-match'] : undefined,
        isCreation: one === 's3:PutObject' ? step === undefined || step === 'complete' : undefined,
        ...(one === 's3:PutObject' || one === 's3:PutObjectRetention' ? lockOf(headers, now) : {}),
      }),
  )
  if (lacking === undefined) return
  throw new S3Refusal(
    403,
    'AccessDenied',
    `User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ${lacking[0]} on resource: "${lacking[1]}" because no identity-based policy allows the ${lacking[0]} action`,
  )
}

function perform(request: S3Request, bucket: Bucket, query: URLSearchParams, body: Buffer): Answer {
  const id = query.get('uploadId') ?? ''
  switch (request.action) {
    case 's3:PutObject':
      if (request.step !== undefined) return upload(request, bucket, query, body)
      return put(request, bucket, body)
    case 's3:AbortMultipartUpload':
      if (!bucket.uploads.end(id)) throw new S3Refusal(404, 'NoSuchUpload')
      return { status: 204, headers: {}, body: Buffer.alloc(0) }
    case 's3:GetObject':
    case 's3:GetObjectVersion':
      return overridden(get(request, bucket, query.get('versionId')), query)
    case 's3:ListBucket':
      return list(request, bucket, query)
    case 's3:DeleteObject':
      return remove(request, bucket, query.get('versionId'))
  }
}

/** A step of an upload in parts: the condition is judged when it is complete. */
function upload(request: S3Request, bucket: Bucket, query: URLSearchParams, body: Buffer): Answer {
  const id = query.get('uploadId') ?? ''
  const { uploads } = bucket
  switch (request.step) {
    case 'begin': {
      const begun = `<UploadId>${uploads.begin(request.key)}</UploadId>`
      return xml(200, `<InitiateMultipartUploadResult>${begun}</InitiateMultipartUploadResult>`)
    }
    case 'part': {
      const tag = uploads.add(id, Number(query.get('partNumber')), body)
      if (tag === undefined) throw new S3Refusal(404, 'NoSuchUpload')
      const told = headerOf(request.headers, 'x-amz-checksum-sha256')
      if (told === undefined) throw new S3Refusal(400, 'InvalidRequest', 'The upload was begun with checksums')
      return { status: 200, headers: { etag: tag, 'x-amz-checksum-sha256': told }, body: Buffer.alloc(0) }
    }
    case 'complete':
    case undefined: {
      const whole = uploads.join(id, body.toString())
      if (whole === undefined) throw new S3Refusal(404, 'NoSuchUpload')
      const { 'x-amz-checksum-sha256': _, ...headers } = request.headers
      const { headers: told } = put({ ...request, headers }, bucket, whole)
      uploads.end(id)
      const etag = `<ETag>${escape(told['etag'] ?? '')}</ETag>`
      const answer = xml(200, `<CompleteMultipartUploadResult>${etag}</CompleteMultipartUploadResult>`)
      return { ...answer, headers: { ...answer.headers, ...told } }
    }
  }
}

function put({ key, headers }: S3Request, bucket: Bucket, body: Buffer): Answer {
  const sha256 = createHash('sha256').update(body).digest('base64')
  const told = headerOf(headers, 'x-amz-checksum-sha256')
  if (told !== undefined && told !== sha256)
    throw new S3Refusal(400, 'BadDigest', 'The SHA256 you specified did not match the calculated checksum.')
  const current = bucket.objects.get(key)?.at(-1)
  const existing = current?.body === null ? undefined : current
  if (headers['if-none-match'] === '*' && existing !== undefined) throw failedCondition()
  const match = headers['if-match']
  if (match !== undefined && existing === undefined) throw absent()
  if (match !== undefined && match !== existing?.etag) throw failedCondition()

  const mode = headerOf(headers, 'x-amz-object-lock-mode')
  const until = headerOf(headers, 'x-amz-object-lock-retain-until-date')
  if (mode !== undefined && !bucket.options.hasLock)
    throw new S3Refusal(400, 'InvalidRequest', 'Bucket is missing Object Lock Configuration')
  if (mode !== undefined && told === undefined)
    throw new S3Refusal(
      400,
      'InvalidRequest',
      'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
    )
  const metadata = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith('x-amz-meta-') && typeof value === 'string' ? [[name, value]] : [],
  )
  const version: ObjectVersion = {
    id: bucket.options.hasVersions === true ? randomBytes(16).toString('base64url') : 'null',
    body,
    etag: `"${createHash('md5').update(body).digest('hex')}"`,
    sha256: told,
    metadata: Object.fromEntries(metadata),
    lock: mode === undefined || until === undefined ? undefined : { mode, until },
  }
  bucket.objects.set(
    key,
    bucket.options.hasVersions === true ? [...(bucket.objects.get(key) ?? []), version] : [version],
  )
  return { status: 200, headers: { etag: version.etag, ...versionHeader(version, bucket) }, body: Buffer.alloc(0) }
}

function get({ key, headers }: S3Request, bucket: Bucket, id: string | null): Answer {
  const versions = bucket.objects.get(key) ?? []
  const found = id === null ? versions.at(-1) : versions.find((version) => version.id === id)
  if (found === undefined) throw id === null ? absent() : new S3Refusal(404, 'NoSuchVersion')
  if (found.body === null) {
    const gone = refusal(id === null ? absent() : new S3Refusal(405, 'MethodNotAllowed'))
    return { ...gone, headers: { ...gone.headers, 'x-amz-delete-marker': 'true' } }
  }
  const match = headers['if-match']
  if (match !== undefined && match !== found.etag) throw failedCondition()
  const range = rangeOf(headerOf(headers, 'range'), found.body)
  if (range !== undefined)
    return {
      status: 206,
      headers: { etag: found.etag, 'content-range': range.contentRange, ...versionHeader(found, bucket) },
      body: range.body,
    }
  const isChecked = headers['x-amz-checksum-mode'] === 'ENABLED' && found.sha256 !== undefined
  return {
    status: 200,
    headers: {
      etag: found.etag,
      'content-type': 'application/octet-stream',
      ...found.metadata,
      ...versionHeader(found, bucket),
      ...(isChecked ? { 'x-amz-checksum-sha256': found.sha256, 'x-amz-checksum-type': 'FULL_OBJECT' } : {}),
    },
    body: found.body,
  }
}

/** Whoever asks may say what the answer is to say of itself. */
function overridden(answer: Answer, query: URLSearchParams): Answer {
  const headers = ['content-type', 'content-disposition', 'cache-control'].flatMap((name) => {
    const value = query.get(`response-${name}`)
    return value === null ? [] : [[name, value] as const]
  })
  return { ...answer, headers: { ...answer.headers, ...Object.fromEntries(headers) } }
}

function list({ key: prefix, bucket: name }: S3Request, { objects, options }: Bucket, query: URLSearchParams): Answer {
  const token = query.get('continuation-token')
  const after = token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString()
  const keys = [...objects]
    .filter(([key, versions]) => key.startsWith(prefix) && key > after && currentBody(versions) !== null)
    .map(([key]) => key)
    .sort()
  const page = keys.slice(0, options.pageSize)
  const isTruncated = page.length < keys.length
  const contents = page.map((key) => {
    const { etag, body } = objects.get(key)?.at(-1) ?? { etag: '', body: null }
    return `<Contents><Key>${escape(key)}</Key><LastModified>2026-11-24T12:00:00.000Z</LastModified><ETag>${escape(etag)}</ETag><Size>${body?.length ?? 0}</Size><StorageClass>STANDARD</StorageClass></Contents>`
  })
  const next = isTruncated
    ? `<NextContinuationToken>${Buffer.from(page.at(-1) ?? '').toString('base64url')}</NextContinuationToken>`
    : ''
  return xml(
    200,
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${name}</Name><Prefix>${escape(prefix)}</Prefix>${next}<KeyCount>${page.length}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>${isTruncated}</IsTruncated>${contents.join('')}</ListBucketResult>`,
  )
}

function remove({ key, headers }: S3Request, bucket: Bucket, id: string | null): Answer {
  const versions = bucket.objects.get(key) ?? []
  if (id !== null) {
    const lock = versions.find((version) => version.id === id)?.lock
    const isBypassed = lock?.mode === 'GOVERNANCE' && headers['x-amz-bypass-governance-retention'] === 'true'
    if (lock !== undefined && Date.parse(lock.until) > Date.now() && !isBypassed)
      throw new S3Refusal(403, 'AccessDenied', 'Access Denied because object protected by object lock.')
    bucket.objects.set(
      key,
      versions.filter((version) => version.id !== id),
    )
  } else if (bucket.options.hasVersions === true) {
    const marker = { id: randomBytes(16).toString('base64url'), body: null, etag: '', sha256: undefined, metadata: {} }
    bucket.objects.set(key, [...versions, { ...marker, lock: undefined }])
  } else bucket.objects.delete(key)
  return { status: 204, headers: {}, body: Buffer.alloc(0) }
}

/** Null where there is no object, or a deletion came last. */
function currentBody(versions: readonly ObjectVersion[] | undefined): Buffer | null {
  return versions?.at(-1)?.body ?? null
}

function headerOf(headers: IncomingMessage['headers'], name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

function versionHeader({ id }: ObjectVersion, { options }: Bucket): Record<string, string> {
  return options.hasVersions === false ? {} : { 'x-amz-version-id': id }
}

function failedCondition(): S3Refusal {
  return new S3Refusal(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
}

function absent(): S3Refusal {
  return new S3Refusal(404, 'NoSuchKey', 'The specified key does not exist.')
}

function refusal({ status, code, message }: S3Refusal): Answer {
  return xml(
    status,
    `<Error><Code>${code}</Code><Message>${escape(message)}</Message><RequestId>REQUEST</RequestId></Error>`,
  )
}

function xml(status: number, content: string): Answer {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${content}`),
  }
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
