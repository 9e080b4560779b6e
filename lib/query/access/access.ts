import { createHash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { isClusterId } from '../../store/keys.ts'

/** Who asks, and what may be answered. */
export type Grant = {
  /** For the log of requests: never a credential. */
  readonly subject: string
  /** Ids of clusters; `all` also means those that are registered later. */
  readonly clusters: 'all' | readonly string[]
}

/**
 * Who a request comes from; undefined where nobody can be told. `environment` is what the server gives beside the request: the event of API Gateway,
 * say. Whatever throws is answered as a failure, never as access.
 */
export type Access = (request: Request, environment: unknown) => Promise<Grant | undefined>

/** Whether a cluster may be shown. */
export function maySee({ clusters }: Grant, id: string): boolean {
  return clusters === 'all' || clusters.includes(id)
}

/** A token of a token file, as its hash, and the clusters that it opens. */
export type KnownToken = {
  readonly sha256: Buffer
  readonly clusters: Grant['clusters']
  /** Which line it stood in, from 1. */
  readonly line: number
}

/** A token file that cannot be used. One line, which never quotes a token. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError'
}

/** Fewer characters could be guessed; 32 hex digits have 128 bits. */
const MIN_TOKEN_LENGTH = 32

/**
 * Reads a token file: a token a line, and after a space the clusters that it opens, parted by commas; without them it opens all. Empty lines
 * and those that begin with `#` say nothing. Throws {@link TokenFileError} where a line is none, and where there is no token at all.
 */
export function parseTokens(text: string): readonly KnownToken[] {
  const tokens = text.split('\n').flatMap((whole, index): KnownToken[] => {
    const content = whole.trim()
    if (content === '' || content.startsWith('#')) return []
    const [token = '', list, ...others] = content.split(/\s+/)
    const clusters = list?.split(',') ?? 'all'
    const line = index + 1
    if (!/^[A-Za-z0-9._~+/=-]+$/.test(token) || token.length < MIN_TOKEN_LENGTH)
      throw new TokenFileError(
        `Cannot use line ${line} of the token file: wanted a token of at least ${MIN_TOKEN_LENGTH} letters, digits and "._~+/=-", such as "openssl rand -hex 32" makes`,
      )
    if (others.length > 0 || (clusters !== 'all' && !clusters.every(isClusterId)))
      throw new TokenFileError(
        `Cannot use line ${line} of the token file: wanted ids of clusters after the token, parted by commas and without spaces`,
      )
    return [{ sha256: sha256Of(token), clusters, line }]
  })
  if (tokens.length === 0) throw new TokenFileError('Cannot use the token file: it holds no token')
  return tokens
}

/** The token of `Authorization: Bearer`; undefined where there is none. */
export function bearerOf(request: Request): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(request.headers.get('authorization') ?? '')?.[1]
}

/** Asks one after the other, and lets in whom the first one knows. One that fails is answered as a failure, unless one before it knew who asks. */
export function firstAccess(ways: readonly Access[]): Access {
  return async (request, environment) => {
    for (const way of ways) {
      const grant = await way(request, environment)
      if (grant !== undefined) return grant
    }
    return undefined
  }
}

/** Lets in who brings one of the tokens, as `Authorization: Bearer`. They are read for each request, so that one can be replaced at any time. */
export function tokenAccess(readTokens: () => Promise<readonly KnownToken[]>): Access {
  return async (request) => {
    const brought = bearerOf(request)
    if (brought === undefined) return undefined
    const sha256 = sha256Of(brought)
    // All are compared, so that the time tells nothing of which one it was.
    const known = (await readTokens()).filter((token) => timingSafeEqual(token.sha256, sha256))
    const [first] = known
    return first === undefined ? undefined : { subject: `token ${first.line}`, clusters: first.clusters }
  }
}

/** Names of this machine that no other name server can lead here. */
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i

/**
 * Whether a page of another site made a browser send a request: browsers say which site a form comes from.
 *
 * @param pagesOrigin where people reach the pages, if it is known: a proxy in front may have another name
 */
export function isFromElsewhere({ headers }: Request, pagesOrigin?: string): boolean {
  const origin = headers.get('origin')
  if (origin !== null && origin === pagesOrigin) return false
  if (origin === null) return headers.get('sec-fetch-site') === 'cross-site'
  return URL.parse(origin)?.host !== headers.get('host')
}

/** What a proxy tells of whom it asks for. */
const FORWARDED = /^(forwarded|x-forwarded-.*)$/i

/** Whether a request names this machine by a loopback address, and no proxy says that it brings it from somebody else. */
export function isOnLoopback({ headers }: Request): boolean {
  return LOOPBACK_HOST.test(headers.get('host') ?? '') && ![...headers.keys()].some((name) => FORWARDED.test(name))
}

/**
 * Lets in everybody on this machine: for a server that listens on a loopback address only. The `Host` header must name that address, or else a page on the
 * web could read the answers by a name that it lets lead here. Who comes through a proxy may be anybody, so that one that says so is not let in.
 */
export const loopbackAccess: Access = async (request) =>
  isOnLoopback(request) ? { subject: 'loopback', clusters: 'all' } : undefined

const authorised = z.object({
  event: z.object({
    requestContext: z.object({
      authorizer: z.object({ jwt: z.object({ claims: z.record(z.string(), z.unknown()) }) }),
    }),
  }),
})

/**
 * Lets in whom the JWT authoriser of an API Gateway (HTTP API, payload 2.0) let through. A claim limits what they see: ids of clusters parted by
 * spaces or commas, or as a list; `*` is all of them. Without it they see nothing.
 *
 * @param claim such as `ciphertrail_clusters`
 */
export function gatewayAccess(claim: string): Access {
  return async (_, environment) => {
    const parsed = authorised.safeParse(environment)
    if (!parsed.success) return undefined
    const { claims } = parsed.data.event.requestContext.authorizer.jwt
    const { sub } = claims
    return { subject: typeof sub === 'string' ? sub : 'unnamed', clusters: clustersOf(claims[claim]) }
  }
}

const signed = z.object({
  event: z.object({
    requestContext: z.object({ authorizer: z.object({ iam: z.object({ userArn: z.string().min(1) }) }) }),
  }),
})

/**
 * Lets in whom API Gateway let through by a signature with IAM credentials: who may call the API is what IAM's policies say, and all of them see
 * every cluster.
 */
export const signedAccess: Access = async (_, environment) => {
  const parsed = signed.safeParse(environment)
  return parsed.success
    ? { subject: parsed.data.event.requestContext.authorizer.iam.userArn, clusters: 'all' }
    : undefined
}

/** What a claim opens. API Gateway writes a list as `[a b]`. */
export function clustersOf(claim: unknown): Grant['clusters'] {
  const texts = typeof claim === 'string' ? claim.replace(/^\[(.*)\]$/s, '$1').split(/[\s,]+/) : claim
  const list = z.array(z.string()).safeParse(texts).data ?? []
  return list.includes('*') ? 'all' : list.filter(isClusterId)
}

function sha256Of(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
