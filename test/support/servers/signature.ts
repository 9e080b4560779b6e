import { createHash, createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** A request as a server received it. */
export type ReceivedRequest = {
  readonly method: string
  /** Path and query, as sent. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Signer = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  readonly service: string
}

/** AWS takes a signature for five minutes around its own time. */
const TOLERANCE_MS = 5 * 60 * 1000

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const encoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

/**
 * Why AWS would refuse a request with Signature Version 4, in its words; null where it would not. Computed from the text of the specification
 * ("Create a signed AWS API request"), by nothing that signs.
 */
export function signatureProblem(
  { method, url, headers, body }: ReceivedRequest,
  { accessKeyId, secretAccessKey, region, service }: Signer,
  now: Date,
): string | null {
  const [, key, scope = '', names = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([-;\w]+), Signature=([\da-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? []
  if (key === undefined) return 'Missing Authentication Token'
  if (key !== accessKeyId) return 'The security token included in the request is invalid.'
  const date = String(headers['x-amz-date'])
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? []
  const at = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`)
  const clock = now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  if (!(now.getTime() - at <= TOLERANCE_MS)) return `Signature expired: ${date} is now earlier than ${clock}`
  if (at - now.getTime() > TOLERANCE_MS) return `Signature not yet current: ${date} is still later than ${clock}`
  if (scope !== `${date.slice(0, 8)}/${region}/${service}/aws4_request`)
    return `Credential should be scoped to a valid region, not '${scope.split('/')[1]}'.`
  const signed = names.split(';')
  const mustBeSigned = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-')), 'content-type']
  const unsigned = mustBeSigned.find((name) => name in headers && !signed.includes(name))
  if (unsigned !== undefined) return `Header '${unsigned}' must be signed`

  const [path = '', query = ''] = url.split('?')
  // Every service but S3 encodes the path once more.
  const canonicalPath = path.split('/').map(encoded).join('/')
  const canonical = canonicalRequest({ method, path: canonicalPath, query, headers, names, hash: sha256(body) })
  return signatureOf(canonical, date, { secretAccessKey, region, service }) === signature ? null : WRONG
}

const WRONG =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.'

/** Why S3 would refuse a request whose query signs it ("Authenticating Requests: Using Query Parameters"), in its words; null where it would not. */
export function presignedProblem(
  { method, url, headers }: Omit<ReceivedRequest, 'body'>,
  { accessKeyId, secretAccessKey, region, service }: Signer,
  now: Date,
): string | null {
  const [path = '', query = ''] = url.split('?')
  const given = new URLSearchParams(query)
  const of = (name: string): string => given.get(`X-Amz-${name}`) ?? ''
  const [key, ...scope] = of('Credential').split('/')
  const [date, seconds, names] = [of('Date'), Number(of('Expires')), of('SignedHeaders')]
  if (key !== accessKeyId) return 'The AWS Access Key Id you provided does not exist in our records.'
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? []
  const at = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`)
  if (!(seconds >= 1 && seconds <= 604_800)) return 'X-Amz-Expires must be between 1 and 604800'
  if (!(now.getTime() < at + seconds * 1000)) return 'Request has expired'
  if (at - now.getTime() > 15 * 60_000) return 'Request is not valid yet'
  if (scope.join('/') !== `${date.slice(0, 8)}/${region}/${service}/aws4_request`)
    return 'Error parsing the X-Amz-Credential parameter'
  if (!names.split(';').includes('host')) return 'Header "host" must be signed'
  const rest = query.replace(/(^|&)X-Amz-Signature=[^&]*/, '').replace(/^&/, '')
  const canonical = canonicalRequest({ method, path, query: rest, headers, names, hash: 'UNSIGNED-PAYLOAD' })
  return signatureOf(canonical, date, { secretAccessKey, region, service }) === of('Signature') ? null : WRONG
}

/** @param path encoded as the service wants it */
function canonicalRequest({
  method,
  path,
  query,
  headers,
  names,
  hash,
}: {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: IncomingHttpHeaders
  readonly names: string
  readonly hash: string
}): string {
  const pairs = query === '' ? [] : query.split('&').map((pair) => pair.split('='))
  const canonicalQuery = pairs
    .map(([name = '', value = '']) => [encoded(decodeURIComponent(name)), encoded(decodeURIComponent(value))])
    .toSorted(([a = '', b = ''], [c = '', e = '']) => (a < c ? -1 : a > c ? 1 : b < e ? -1 : 1))
    .map((pair) => pair.join('='))
    .join('&')
  const signed = names.split(';').map((name) => `${name}:${String(headers[name]).trim().replaceAll(/ +/g, ' ')}`)
  return [method, path, canonicalQuery, ...signed, '', names, hash].join('\n')
}

function signatureOf(
  canonical: string,
  date: string,
  { secretAccessKey, region, service }: Omit<Signer, 'accessKeyId'>,
): string {
  const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`
  const dayKey = hmac(`AWS4${secretAccessKey}`, date.slice(0, 8))
  const signingKey = hmac(hmac(hmac(dayKey, region), service), 'aws4_request')
  return hmac(signingKey, ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')).toString('hex')
}
