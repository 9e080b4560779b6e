/** Alerts and reports as signed requests: receivers can verify that one is ours, and when it was made. */
import { createHmac } from 'node:crypto'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { addressCheck, checkedLookup, refuseAddress } from '../../net/refused-addresses.ts'
import { readSecret } from '../../net/credential-files.ts'
import { type TokenSource, cachedToken } from '../../net/cached-token.ts'
import { readManagedSecret } from '../../net/managed-secret.ts'
import { printable } from '../../text/printable.ts'
import type { Webhook } from '../channel/channel.ts'
import { NotSentError } from './send.ts'

/** The posted content: receivers recognise a repeat by its id. */
export type Post = {
  readonly id: string
  readonly body: string
  /** For the whole exchange; default ten seconds. */
  readonly timeoutMs?: number
}

/** Posts an alert to a webhook, and returns its answer. Throws {@link NotSentError} if it was not accepted. */
export type PostAlert = (webhook: Webhook, post: Post, now: Date) => Promise<string>

const TIMEOUT_MS = 10_000

/** The value of `ciphertrail-signature`: HMAC-SHA256 over the time in seconds, a dot, and the body. */
export function signatureOf(body: string, secret: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`
}

/**
 * Posts to registered addresses, but never to a metadata service or the like, whatever a name resolves to. Follows no redirects. Throws {@link NotSentError} if
 * the post was not accepted; an interrupted one counts as that, since receivers recognise a repeat by its id. A secret of AWS Secrets Manager is cached for ten
 * minutes, and read again if the server refuses its signature.
 *
 * @param allowedNetworks as in `CIPHERTRAIL_ALLOWED_NETWORKS`
 * @param hasFiles false: there are no files to read secrets from
 */
export function webhookPost(
  allowedNetworks: string | undefined,
  { hasFiles }: { readonly hasFiles: boolean } = { hasFiles: true },
): PostAlert {
  const check = addressCheck(allowedNetworks)
  const sources = new Map<string, TokenSource>()
  let clock = new Date(0)
  const sourceOf = (secret: string): TokenSource => {
    const source =
      sources.get(secret) ??
      cachedToken(
        () => readManagedSecret(secret, 'secret', TIMEOUT_MS),
        () => clock,
      )
    sources.set(secret, source)
    return source
  }
  const secretOf = async ({ secretFile, secret }: Webhook, refused?: string): Promise<string> => {
    if (secret !== undefined) return sourceOf(secret)(refused)
    if (hasFiles) return readSecret(secretFile ?? '', 'the secret file of the webhook')
    throw new NotSentError(
      'the secret of the webhook is in a file, which is not here: name one of AWS Secrets Manager (ciphertrail channel add --webhook-secret)',
      'for-now',
    )
  }
  return async (webhook, { id, body, timeoutMs = TIMEOUT_MS }, now) => {
    try {
      const url = new URL(webhook.url)
      refuseAddress(url, check)
      const tell = (secret: string): Promise<number> =>
        posted(
          url,
          {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            'user-agent': 'ciphertrail',
            'ciphertrail-id': id,
            'ciphertrail-signature': signatureOf(body, secret, Math.floor(now.getTime() / 1000)),
          },
          body,
          checkedLookup(check),
          timeoutMs,
        )
      clock = now
      const secret = await secretOf(webhook)
      let status = await tell(secret)
      if (isRefusal(status)) {
        const newer = await secretOf(webhook, secret)
        if (newer !== secret) status = await tell(newer)
      }
      if (status >= 200 && status < 300) return `HTTP ${status}`
      throw new NotSentError(
        `the webhook answered HTTP ${status}`,
        status >= 400 && status < 500 && ![408, 429].includes(status) && !isRefusal(status) ? 'for-good' : 'for-now',
      )
    } catch (error) {
      if (error instanceof NotSentError) throw error
      throw new NotSentError(
        printable(error instanceof Error ? error.message : String(error)).slice(0, 300),
        'for-now',
        {
          cause: error,
        },
      )
    }
  }
}

/** The secret is being rotated, at either end. */
const isRefusal = (status: number): boolean => status === 401 || status === 403

function posted(
  url: URL,
  headers: Readonly<Record<string, string | number>>,
  body: string,
  lookup: ReturnType<typeof checkedLookup>,
  timeoutMs: number,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  const request = send(
    url,
    { method: 'POST', headers, lookup, signal: AbortSignal.timeout(timeoutMs), agent: false },
    (response) => {
      resolve(response.statusCode ?? 0)
      response.destroy()
    },
  )
  request.on('error', reject)
  request.end(body)
  return promise
}
