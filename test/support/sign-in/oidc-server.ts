/** A small OpenID Connect issuer on loopback that signs in whoever comes, and can be told to misbehave. The browser suite has a certified one. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { TestContext } from 'node:test'
import { text } from 'node:stream/consumers'
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from 'jose'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { addressCheck } from '../../../lib/net/refused-addresses.ts'
import { createIssuer } from '../../../lib/query/oidc/create-issuer.ts'
import type { Issuer } from '../../../lib/query/oidc/issuer.ts'
import { createSealer } from '../../../lib/query/oidc/sealed.ts'
import type { SiteDeps } from '../../../lib/query/site.ts'

/** What it does otherwise than an issuer should, until it is told again. */
export type Misbehaviour = {
  /** Members of the ID token, over what is right. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** The ID token is signed with a key that is not published, or not at all. */
  readonly signature?: 'foreign' | 'none'
  /** Nobody is let in: the error it leads back with. */
  readonly error?: string
  /** Members of its metadata, over what is right. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** It answers 500. */
  readonly isDown?: boolean
}

/** The client that it knows. */
export const CLIENT = { id: 'ciphertrail-pages', secret: 's'.repeat(40) } as const

const [own, foreign] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')])

/** An issuer that runs. */
export type OidcServer = {
  readonly url: string
  /** Who signs in: their claims. */
  readonly user: (claims: Readonly<Record<string, unknown>>) => void
  readonly misbehave: (how: Misbehaviour) => void
  /** Each request to its token endpoint, as it was sent. */
  readonly tokenRequests: readonly { readonly authorization: string | undefined; readonly form: URLSearchParams }[]
  /** A token for somebody else than the client, as programs get. */
  readonly token: (claims: Readonly<Record<string, unknown>>) => Promise<string>
  /** A client of it, as `serve` makes one. */
  readonly client: (url: string, changes?: { readonly secret?: string }) => Issuer
  /** What a site needs to sign people in here. */
  readonly signInAt: (url: string) => NonNullable<SiteDeps['signIn']>
}

/** Starts one whose tokens last `seconds`, until the test ends. */
export async function startOidcServer(
  t: Pick<TestContext, 'after'>,
  now: () => Date,
  seconds = 3600,
): Promise<OidcServer> {
  let how: Misbehaviour = {}
  let user: Readonly<Record<string, unknown>> = { sub: 'ada', ciphertrail_clusters: '*' }
  const codes = new Map<string, URLSearchParams>()
  const tokenRequests: { authorization: string | undefined; form: URLSearchParams }[] = []
  let url = ''

  const idToken = async (asked: URLSearchParams): Promise<string> => {
    const issued = Math.floor(now().getTime() / 1000)
    const nonce = asked.get('nonce')
    const claims = { iss: url, aud: CLIENT.id, iat: issued, exp: issued + seconds, nonce, ...user, ...how.claims }
    if (how.signature === 'none') return new UnsecuredJWT(claims).encode()
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'own' })
      .sign((how.signature === 'foreign' ? foreign : own).privateKey)
  }

  const answers: Record<string, (search: URLSearchParams, form: URLSearchParams) => Promise<object | string | null>> = {
    '/.well-known/openid-configuration': async () => ({
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/keys`,
      end_session_endpoint: `${url}/logout`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'none'],
      ...how.metadata,
    }),
    '/keys': async () => ({ keys: [{ ...(await exportJWK(own.publicKey)), kid: 'own' }] }),
    '/authorize': async (search) => {
      const back = new URL(search.get('redirect_uri') ?? '')
      back.searchParams.set('state', search.get('state') ?? '')
      if (how.error !== undefined) back.searchParams.set('error', how.error)
      else {
        const code = randomBytes(16).toString('hex')
        codes.set(code, search)
        back.searchParams.set('code', code)
      }
      return back.href
    },
    '/token': async (_, form) => {
      const code = form.get('code') ?? ''
      const asked = codes.get(code)
      codes.delete(code)
      const challenge = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url')
      if (
        asked === undefined ||
        asked.get('code_challenge') !== challenge ||
        asked.get('code_challenge_method') !== 'S256' ||
        asked.get('redirect_uri') !== form.get('redirect_uri')
      )
        return null
      return { access_token: 'opaque', token_type: 'Bearer', expires_in: seconds, id_token: await idToken(asked) }
    },
    '/logout': async () => ({}),
  }

  const server = createServer((request, response) => {
    void (async () => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://issuer')
      const form = new URLSearchParams(await text(request))
      if (pathname === '/token') tokenRequests.push({ authorization: request.headers.authorization, form })
      const answer = answers[pathname]
      if (how.isDown === true || answer === undefined) return response.writeHead(500).end('secret-of-the-issuer')
      const content = await answer(searchParams, form)
      if (typeof content === 'string') return response.writeHead(302, { location: content }).end()
      response.writeHead(content === null ? 400 : 200, { 'content-type': 'application/json' })
      return response.end(JSON.stringify(content ?? { error: 'invalid_grant' }))
    })()
  })
  const { port, close } = await listenOnLoopback(server)
  t.after(close)
  url = `http://127.0.0.1:${port}`

  const client: OidcServer['client'] = (site, { secret } = {}) =>
    createIssuer(
      { issuer: url, clientId: CLIENT.id, scope: 'openid', claim: 'ciphertrail_clusters', url: site },
      { clientSecret: secret === undefined ? null : async () => secret, check: addressCheck(undefined), now },
    )
  const key = randomBytes(32)
  return {
    url,
    tokenRequests,
    token: async (claims) => {
      const issued = Math.floor(now().getTime() / 1000)
      return new SignJWT({ iss: url, iat: issued, exp: issued + seconds, sub: 'program', ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'own' })
        .sign(own.privateKey)
    },
    user: (claims) => {
      user = claims
    },
    misbehave: (next) => {
      how = next
    },
    client,
    signInAt: (site) => ({ issuer: client(site), sealer: createSealer(async () => key) }),
  }
}
