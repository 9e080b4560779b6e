/** Alerts as signed requests: whoever gets one can tell that it is ours, and when it was made. */
import { createHmac } from 'node:crypto'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { addressCheck, checkedLookup, refuseAddress } from '../collect/addresses.ts'
import { readSecret } from '../collect/credential-files.ts'
import { printable } from '../report/printable.ts'
import type { Channel } from './channel.ts'
import { NotSentError } from './send.ts'

/** What is posted: the id names it, so that one that comes twice can be told. */
export type Post = { readonly id: string; readonly body: string }

export type PostAlert = (webhook: NonNullable<Channel['webhook']>, post: Post, now: Date) => Promise<string>

const TIMEOUT_MS = 10_000

/** The value of `ciphertrail-signature`: HMAC-SHA256 over the time in seconds, a dot, and the body. */
export function signatureOf(body: string, secret: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`
}

/**
 * Posts to registered addresses, but to none of a metadata service or the like, whatever its name leads to. Nothing that a server answers is followed. Throws
 * {@link NotSentError} where it was not taken; one that is cut off counts as that, since the id tells a second one.
 *
 * @param allowedNetworks as `CIPHERTRAIL_ALLOWED_NETWORKS` has it
 */
export function webhookPost(allowedNetworks: string | undefined): PostAlert {
  const check = addressCheck(allowedNetworks)
  return async ({ url: address, secretFile }, { id, body }, now) => {
    try {
      const url = new URL(address)
      refuseAddress(url, check)
      const secret = await readSecret(secretFile, 'the secret file of the webhook')
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'ciphertrail',
        'ciphertrail-id': id,
        'ciphertrail-signature': signatureOf(body, secret, Math.floor(now.getTime() / 1000)),
      }
      const status = await posted(url, headers, body, checkedLookup(check))
      if (status >= 200 && status < 300) return `HTTP ${status}`
      throw new NotSentError(
        `the webhook answered HTTP ${status}`,
        status >= 400 && status < 500 && ![408, 429].includes(status),
      )
    } catch (error) {
      if (error instanceof NotSentError) throw error
      throw new NotSentError(printable(error instanceof Error ? error.message : String(error)).slice(0, 300), false, {
        cause: error,
      })
    }
  }
}

function posted(
  url: URL,
  headers: Readonly<Record<string, string | number>>,
  body: string,
  lookup: ReturnType<typeof checkedLookup>,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  const request = send(
    url,
    { method: 'POST', headers, lookup, signal: AbortSignal.timeout(TIMEOUT_MS), agent: false },
    (response) => {
      resolve(response.statusCode ?? 0)
      response.destroy()
    },
  )
  request.on('error', reject)
  request.end(body)
  return promise
}
